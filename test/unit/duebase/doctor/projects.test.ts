import type { Sql } from "postgres";
import { describe, expect, it } from "vitest";
import { projectOfDatabase } from "../../../../scripts/duebase/connections/database.ts";
import { mode } from "../../../../scripts/duebase/doctor/checks/mode.ts";
import { vault } from "../../../../scripts/duebase/doctor/checks/vault.ts";
import type { DoctorContext, RoundTrip } from "../../../../scripts/duebase/doctor/context.ts";
import { openContext } from "../../../../scripts/duebase/doctor/open.ts";
import { runChecks } from "../../../../scripts/duebase/doctor/run.ts";

const ORIGINAL = "originaloriginalorig";
const CLONE = "cloneclonecloneclone";
const urlOf = (ref: string) => `https://${ref}.supabase.co/functions/v1`;

/** A project as doctor sees it: whose database, whose address in Vault, whose functions answer, and who went live. */
async function seen(is: {
  database: string | undefined;
  url: string;
  answers: string | undefined;
  live: string;
  /** What billing.job_problems has of the project. */
  problem?: string;
}): Promise<Record<string, string>> {
  const trip = is.answers
    ? { is: "answered", report: { project: is.answers }, took: 1, answeredAt: 0 }
    : { is: "refused", problem: "it did not answer" };
  const sql = (async () => (is.problem === undefined ? [] : [{ problem: is.problem }])) as unknown as Sql;
  const context: Partial<DoctorContext> = {
    sql,
    projectRef: is.database,
    functions: async () => ({ url: is.url, secret: "example", problem: null }),
    roundTrip: async () => trip as RoundTrip,
    settings: async () => ({
      mode: "live",
      project_ref: is.live,
      livemode: false,
      stripe_account: null,
      app_name: "Shop",
      app_url: "https://shop.example.com",
      email_from: null,
    }),
  };
  const { results } = await runChecks([vault, mode], context as DoctorContext);
  return Object.fromEntries(results.map(({ check, light, says }) => [check, `${light}: ${says}`]));
}

describe("whose functions does the database call", () => {
  it("a clone whose Vault still leads to the original is red, though the original's functions answer", async () => {
    const found = await seen({
      database: CLONE,
      url: urlOf(ORIGINAL),
      answers: ORIGINAL,
      live: ORIGINAL,
    });
    expect(found.vault).toBe(
      `red: duebase_functions_url in Vault leads to the project ${ORIGINAL}, and this is the database of ${CLONE}`,
    );
    expect(found.mode).toMatch(new RegExp(`^red: .* went live as ${ORIGINAL}, and this is ${CLONE}`));
  });

  it("and so where nothing answers, by the address alone", async () => {
    const found = await seen({
      database: CLONE,
      url: urlOf(ORIGINAL),
      answers: undefined,
      live: ORIGINAL,
    });
    expect(found.vault).toMatch(/^red: .* leads to the project original/);
  });

  it("an address of one's own is right where the functions behind it say that they are of this project", async () => {
    const found = await seen({
      database: ORIGINAL,
      url: "https://api.shop.example.com/functions/v1",
      answers: ORIGINAL,
      live: ORIGINAL,
    });
    expect(found.vault).toMatch(/^green/);
    expect(found.mode).toBe(`green: live as ${ORIGINAL}`);
  });

  it("and red where they are of another one, amber where they do not answer", async () => {
    const url = "https://api.shop.example.com/functions/v1";
    const other = await seen({ database: CLONE, url, answers: ORIGINAL, live: ORIGINAL });
    expect(other.vault).toMatch(/^red: .* leads to the project original/);
    const nobody = await seen({ database: CLONE, url, answers: undefined, live: CLONE });
    expect(nobody.vault).toMatch(/^amber: .* does not name the project clone/);
  });
});

it("that functions of another project work on the database is told by the mode, in a line, with what to do", async () => {
  const found = await seen({
    database: ORIGINAL,
    url: urlOf(ORIGINAL),
    answers: ORIGINAL,
    live: ORIGINAL,
    problem: `Functions of ${CLONE} work on this database, which is live as ${ORIGINAL}: it is a copy, and nothing is sent`,
  });
  expect(found.mode).toBe(`red: Functions of ${CLONE} work on this database, which is live as ${ORIGINAL}`);
});

describe("whose database it is", () => {
  it.each([
    [`db.${CLONE}.supabase.co`, "postgres", CLONE],
    ["aws-0-eu-central-1.pooler.supabase.com", `postgres.${CLONE}`, CLONE],
    ["127.0.0.1", "postgres", undefined],
    ["db.example.com", "postgres", undefined],
  ])("%s as %s", (hostname, username, ref) => {
    expect(projectOfDatabase({ hostname, username })).toBe(ref);
  });

  const database = (host: string): Sql =>
    Object.assign(
      (async () => [{ is_there: true, url: urlOf(ORIGINAL), secret: "x", problem: null }]) as never,
      {
        options: { host: [host], user: "postgres" },
      },
    );

  it("its own address counts, whatever the Vault in it says", async () => {
    const { projectRef } = await openContext(database(`db.${CLONE}.supabase.co`), {}, {});
    expect(projectRef).toBe(CLONE);
  });

  it("where it tells nothing, the functions' address does", async () => {
    expect((await openContext(database("127.0.0.1"), {}, {})).projectRef).toBe(ORIGINAL);
  });

  it("another project that is named is refused", async () => {
    const opened = openContext(database(`db.${CLONE}.supabase.co`), { projectRef: ORIGINAL }, {});
    await expect(opened).rejects.toThrow(
      `The database is that of project ${CLONE}, and the project that was named is ${ORIGINAL}.`,
    );
  });
});
