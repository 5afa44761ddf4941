import { describe, expect, it } from "vitest";
import { projectRef } from "../../../supabase/functions/_duebase/project-ref.ts";

const REF = "abcdefghijklmnopqrst";

describe("the project a function runs in", () => {
  it.each([
    ["the platform's address", `https://${REF}.supabase.co`, {}, REF],
    ["a custom domain", "https://api.example.com", { DENO_DEPLOYMENT_ID: `${REF}_0c0ffee0_3` }, REF],
    ["a vanity domain", "https://notes.supabase.co", { DENO_DEPLOYMENT_ID: `${REF}_0c0ffee0_3` }, REF],
    ["one's own machine", "http://127.0.0.1:54321", {}, "local"],
    ["supabase start", "http://kong:8000", {}, "local"],
    ["one's own server", "https://api.example.com", {}, "api.example.com"],
    ["one's own server with a name", "http://kong:8000", { DUEBASE_PROJECT_REF: " frankfurt " }, "frankfurt"],
  ])("is told by %s", (_, url, variables: Record<string, string>, ref) => {
    expect(projectRef(url, (name) => variables[name])).toBe(ref);
  });

  it("is not told by a setting that a copy would have as well, where the platform says it", () => {
    const copied = { DUEBASE_PROJECT_REF: "original" };
    expect(projectRef(`https://${REF}.supabase.co`, (name) => copied[name as keyof typeof copied])).toBe(REF);
  });
});
