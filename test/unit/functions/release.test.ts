import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { projectRoot } from "../../../scripts/local/project.ts";
import { release } from "../../../scripts/local/release.ts";
import { namingRelease } from "../../../supabase/functions/_duebase/release.ts";
import { serve } from "./served-function.ts";

const slugs = readdirSync(join(projectRoot, "supabase", "functions")).filter((it) =>
  it.startsWith("duebase-"),
);

/** Enough for every function to start; nothing of it is reached. */
const environment = {
  SUPABASE_URL: "http://127.0.0.1:9",
  SUPABASE_SECRET_KEY: "sb_secret_example",
  DUEBASE_STRIPE_SECRET_KEY: "sk_test_example",
  DUEBASE_STRIPE_WEBHOOK_SECRET: "whsec_example",
  DUEBASE_RESEND_API_KEY: "re_example",
  DUEBASE_RESEND_WEBHOOK_SECRET: "whsec_ZXhhbXBsZSBzZWNyZXQgb2YgMjQgYnl0ZXM=",
  DUEBASE_CRON_SECRET: "an-example-of-a-cron-secret-of-32-characters",
  DUEBASE_HEALTH_SECRET: "an-example-of-a-health-secret-of-32-characters",
};

describe("every answer names the release", () => {
  test.each(slugs)("of %s, refusals included", async (slug) => {
    const served = await serve(slug, environment);
    if (!("url" in served)) throw new Error(`${slug} did not start:\n${served.output}`);
    try {
      const answers = [];
      for (const request of [
        { method: "DELETE" },
        { method: "OPTIONS" },
        { method: "POST", body: "{" },
        { method: "GET" },
      ]) {
        const answer = await fetch(served.url, request);
        answers.push([request.method, answer.headers.get("duebase-release")]);
        await answer.body?.cancel();
      }
      expect(answers).toEqual([
        ["DELETE", release],
        ["OPTIONS", release],
        ["POST", release],
        ["GET", release],
      ]);
    } finally {
      await served.stop();
    }
  });

  test("and of a handler that throws, which the runtime would answer without it", async () => {
    const handler = namingRelease(() => Promise.reject(new Error("a bug")));
    const answer = await handler(new Request("http://127.0.0.1/"));
    expect([answer.status, answer.headers.get("duebase-release")]).toEqual([500, release]);
    expect(await answer.text()).not.toContain("a bug");
  });

  test("as a function serves nothing but a handler that does so", () => {
    for (const slug of slugs) {
      const source = readFileSync(join(projectRoot, "supabase", "functions", slug, "index.ts"), "utf8");
      expect([slug, [...source.matchAll(/Deno\.serve\((\w+)/g)].map(([, it]) => it)]).toEqual([
        slug,
        ["namingRelease"],
      ]);
    }
  });
});
