import { execFileSync } from "node:child_process";
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, describe, expect, test } from "vitest";
import { projectRoot } from "../../scripts/local/project.ts";
import { createCheckoutHandler } from "../../supabase/functions/duebase-checkout/handler.ts";
import { createPortalHandler } from "../../supabase/functions/duebase-portal/handler.ts";
import { request, surroundings, TEAM_ID } from "./functions/session-requests.ts";

// Every block of TypeScript in docs/ compiles against supabase-js and the generated types of the database, and what it sends to a
// function the function takes. Blocks that are quoted from the example are compiled there, and compared by another test.

const pages = readdirSync(join(projectRoot, "docs")).filter((name) => name.endsWith(".md"));
const blocks = pages.flatMap((page) => {
  const text = readFileSync(join(projectRoot, "docs", page), "utf8");
  return [...text.matchAll(/(<!-- from: [^>]*-->\s+)?```tsx?\n([\s\S]*?)\n *```/g)]
    .filter(([, quoted]) => quoted === undefined)
    .map(({ index, 2: code = "" }) => ({ page, line: text.slice(0, index).split("\n").length, code }));
});

/** What the pages take for granted: a client, somebody who is signed in, and what the application does with an answer. */
const GIVEN = `
import type { SupabaseClient } from "@supabase/supabase-js";
import type { Database } from "../../supabase/functions/_duebase/database.gen.ts";
declare const supabase: SupabaseClient<Database, "billing">;
declare const user: { id: string };
declare const team: { id: string } & string;
declare const userId: string;
declare const requestId: string;
declare function show(features: unknown, overdue: unknown): void;
`;

mkdirSync(join(projectRoot, ".stack"), { recursive: true });
const folder = mkdtempSync(join(projectRoot, ".stack", "quoted-"));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

/** What the compiler says of each block, by its number. */
function compile(): string[] {
  const files = blocks.map(({ code }, index) => {
    const file = join(folder, `block-${index}.ts`);
    writeFileSync(file, `${GIVEN}export async function block() {\n${code}\nreturn undefined;\n}\n`);
    return file;
  });
  writeFileSync(
    join(folder, "tsconfig.json"),
    JSON.stringify({ extends: "../../tsconfig.json", files, include: [] }),
  );
  try {
    execFileSync(join(projectRoot, "node_modules/.bin/tsc"), ["--pretty", "false", "-p", folder], {
      cwd: folder,
      encoding: "utf8",
    });
    return [];
  } catch (error) {
    return String((error as { stdout: string }).stdout).split("\n");
  }
}
const said = compile();

test("there are blocks of TypeScript", () => {
  expect(blocks.length).toBeGreaterThan(8);
});

describe.each(blocks.map((block, index) => ({ ...block, index })))("docs/$page, line $line", ({ index }) => {
  test("compiles", () => {
    expect(said.filter((line) => line.startsWith(`block-${index}.ts`))).toEqual([]);
  });
});

describe("what is sent to a function", () => {
  const calls = blocks.filter(({ code }) => code.includes("functions.invoke"));
  const AsyncFunction = (async () => {}).constructor as new (
    ...parts: string[]
  ) => (supabase: unknown, location: unknown, team: string) => Promise<void>;

  test.each(calls)("docs/$page, line $line is taken", async ({ code }) => {
    const around = surroundings();
    around.state.owners = [{ owner_id: TEAM_ID, can_manage: true }];
    around.state.stripe = () =>
      Response.json({
        id: "cs_test_1",
        status: "open",
        url: "https://checkout.stripe.com/c/pay/example",
        expires_at: 1_790_086_400,
      });
    const facts = {
      customer: "cus_1",
      account: null,
      price: { type: "recurring", usage_type: "licensed", product: "prod_1", trial_days: null },
      subscribed: false,
    };
    const handlers: Record<string, (request: Request) => Promise<Response>> = {
      "duebase-checkout": createCheckoutHandler({
        ...around.common,
        callStripe: around.callStripe,
        prepare: async () => facts,
        begin: async (wish) => ({
          outcome: "make" as const,
          is_new: true,
          attempt: "attempt-1",
          request: wish.request,
          session: null,
        }),
        record: async () => true,
        close: async () => {},
        wait: async () => {},
      }),
      "duebase-portal": createPortalHandler({
        ...around.common,
        callStripe: around.callStripe,
        findCustomer: async () => ({ customer: "cus_1", account: null }),
      }),
    };
    const answers: [number, unknown][] = [];
    const supabase = {
      functions: {
        invoke: async (name: string, { body }: { body?: object } = {}) => {
          const response = await (handlers[name] as (request: Request) => Promise<Response>)(request(body));
          const data = (await response.json()) as { url?: string };
          answers.push([response.status, data.url ?? data]);
          return { data };
        },
      },
    };
    await new AsyncFunction("supabase", "location", "team", code.replaceAll("price_...", "price_1"))(
      supabase,
      { assign: () => {} },
      TEAM_ID,
    );
    expect(answers.length).toBeGreaterThan(0);
    for (const answer of answers) expect(answer).toEqual([200, expect.stringMatching(/^https:/)]);
  });
});
