import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test, vi } from "vitest";
import type { Health } from "../../../scripts/duebase/health/health.ts";
import { healthAsPage } from "../../../scripts/duebase/health/page.ts";
import { healthAsText } from "../../../scripts/duebase/health/render.ts";
import { createTestDatabase, type TestDatabase } from "../../support/database.ts";
import { runDuebase } from "../../support/duebase-command.ts";

// Each start of the command takes seconds on a busy machine, and a test has up to three.
vi.setConfig({ testTimeout: 120_000 });

let database: TestDatabase;
let folder: string;
beforeAll(async () => {
  database = await createTestDatabase();
  folder = await mkdtemp(join(tmpdir(), "duebase-health-"));
});
afterAll(async () => {
  await database?.drop();
  await rm(folder, { recursive: true, force: true });
});

/** `npx duebase health …`; with `until` it is ended once that was said. */
const health = (args: string[], until?: RegExp) => runDuebase(["health", ...args], until);
const here = (...args: string[]) => health(["--db-url", database.url, ...args]);

const deadLetter = async () => {
  await database.sql`
    insert into billing.webhook_events (id, type, api_version, livemode, created, received_at)
    values ('evt_dead', 'customer.updated', '2026-10-28.endive', false, now(), now()) on conflict do nothing`;
  await database.sql`
    insert into billing.failed_webhooks (event_id, status, attempts, error, first_failed_at, last_failed_at)
    values ('evt_dead', 'dead', 4, '{"message": "it broke"}', now(), now())`;
};
const mend = () => database.sql`delete from billing.failed_webhooks where event_id = 'evt_dead'`;
/** What is red in a database that nothing runs on is not what is tried here. */
const lightOf = async (name: string) => {
  const { code, output } = await here("--json");
  const { status, checks } = JSON.parse(output) as Health;
  return { code, status, light: checks.find((check) => check.name === name)?.status };
};

describe("duebase health", () => {
  test("shows every row of the view, and as JSON the same", async () => {
    const rows = await database.asService((sql) => sql`select name, status from billing.health`);
    const { output } = await here();
    for (const { name } of rows) expect(output).toContain(String(name));
    const { checks } = JSON.parse((await here("--json")).output) as Health;
    expect(checks.map(({ name, status }) => ({ name, status }))).toEqual([...rows]);
    expect(output).not.toMatch(/undefined|NaN|null/);
  });

  test("ends with 1 while something is red, and says since when and what to do", async () => {
    await deadLetter();
    expect(await lightOf("dead-letters")).toEqual({ code: 1, status: "red", light: "red" });
    const { code, output } = await here();
    expect(code).toBe(1);
    expect(output).toMatch(/✖ dead-letters +since \d{4}-\d\d-\d\d \d\d:\d\d/);
    expect(output.replace(/\s+/g, " ")).toContain("select billing.replay_failed_webhook(event_id)");
    await mend();
    expect(await lightOf("dead-letters")).toMatchObject({ light: "green" });
  });

  test("writes a page that needs nothing but itself", async () => {
    await deadLetter();
    await here("--html", join(folder, "deep", "health.html"));
    await mend();
    const html = await readFile(join(folder, "deep", "health.html"), "utf8");
    expect(html).toContain("dead-letters");
    expect(html).toContain("prefers-color-scheme: dark");
    expect(html).not.toMatch(/<script|https?:|@import|url\(|NaN|undefined|Infinity|>null</);
  });

  test("looks again and again, and goes on where the database does not answer", async () => {
    const watched = await health(
      ["--db-url", database.url, "--watch", "--every", "1"],
      /dead-letters[\s\S]*dead-letters/,
    );
    expect(watched.output.match(/Example App|green/g)?.length).toBeGreaterThan(1);
    const away = await health(
      ["--db-url", "postgresql://postgres:canary@127.0.0.1:9/x", "--watch", "--every", "1"],
      /cannot be reached[\s\S]*cannot be reached/,
    );
    expect(away.output).not.toContain("canary");
  });

  test("refuses to watch what is for programs", async () => {
    expect(await here("--watch", "--json")).toMatchObject({
      code: 1,
      output: expect.stringContaining("--watch shows it in a terminal"),
    });
  });
});

describe("whatever it says", () => {
  const check = {
    name: "dead-letters",
    status: "red" as const,
    value: 2,
    unit: "count",
    target: "none",
    meaning: 'the first of them is <script>"\u001b[2J',
    since: new Date("2026-11-30T09:00:00Z"),
    cure: "replay <them>",
  };
  const odd: Health = {
    status: "red",
    as_of: new Date("2026-11-30T10:00:00Z"),
    app: "<b>Shop\u001b[31m",
    checks: [check],
    alarms: [
      { name: "<i>", began_at: check.since, ended_at: null, last_told_at: check.since, told_by: "database" },
    ],
    days: [{ day: "2026-11-30", events: 10, failed: 12, emails_sent: 0, emails_delivered: 0 }],
  };

  test("stays text on the page and in the terminal", () => {
    const html = healthAsPage(odd);
    expect(html).not.toMatch(/<script|<b>Shop|<i>|<them>/);
    expect(healthAsText(odd, 80)).not.toContain("\u001b[2J");
  });

  test("the page of nothing says so in place of empty charts", () => {
    const html = healthAsPage({ ...odd, checks: [], alarms: [], days: [] });
    expect(html).toContain("No event has come.");
    expect(html).toContain("No mail was sent.");
    expect(html).toContain("there is no check, which is not healthy");
    expect(html).not.toMatch(/<svg|NaN|Infinity/);
  });
});
