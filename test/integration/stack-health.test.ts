import { mkdtemp, rm } from "node:fs/promises";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import postgres, { type Sql } from "postgres";
import { afterAll, beforeAll, expect, test } from "vitest";
import { localKeys } from "../../scripts/local/keys.ts";
import { type Stack, startStack } from "../../scripts/local/stack.ts";
import { clientOf } from "../local-stripe/support/harness.ts";
import { parseOpenMetrics } from "../support/openmetrics.ts";
import { eventually } from "../support/stack-project.ts";

// duebase-health and the alarms of duebase-stripe-webhook as they run: in Deno behind the local stack's door.

let directory: string;
let stack: Stack;
let sql: Sql;
let chat: Server;
const posted: string[] = [];
const startedAt = new Date();

beforeAll(async () => {
  chat = createServer((request, response) => {
    const chunks: Buffer[] = [];
    request.on("data", (chunk: Buffer) => chunks.push(chunk));
    request.on("end", () => {
      posted.push((JSON.parse(Buffer.concat(chunks).toString("utf8")) as { text: string }).text);
      response.end("ok");
    });
  });
  await new Promise<void>((resolve) => chat.listen(0, "127.0.0.1", resolve));
  directory = await mkdtemp(join(tmpdir(), "duebase-health-"));
  stack = await startStack({
    directory,
    ports: { api: 0, db: 0, studio: 0, inbox: 0, stripe: 0 },
    fsync: false,
    watch: false,
    // For cron no time goes by: the minute's tick runs when a test says so.
    now: () => startedAt,
    functionEnv: {
      DUEBASE_ALERT_WEBHOOK_URL: `http://127.0.0.1:${(chat.address() as AddressInfo).port}`,
    },
  });
  sql = postgres(stack.status.DB_URL, { max: 2, onnotice: () => {} });
  await stack.runCronJob("duebase-tick");
}, 180_000);
afterAll(async () => {
  await sql?.end({ timeout: 1 });
  await stack?.stop();
  chat?.close();
  await rm(directory, { recursive: true, force: true });
});

const ask = (query = "", headers: Record<string, string> = {}) =>
  fetch(`${stack.status.FUNCTIONS_URL}/duebase-health${query}`, { headers });
const withSecret = { authorization: `Bearer ${localKeys.healthSecret}` };
/** One instance gives the same answer again for five seconds. */
const answers = (status: number) =>
  eventually(`duebase-health answers ${status}`, async () => (await ask()).status === status, 20_000);

test("a monitor is answered, and whoever has the secret reads every row of the view", async () => {
  const response = await ask("", withSecret);
  const { status, checks } = (await response.json()) as { status: string; checks: { name: string }[] };
  const rows = await sql`select name from billing.health`;
  expect(checks.map(({ name }) => name)).toEqual(rows.map(({ name }) => name));
  expect([response.status, await (await ask()).json()]).toEqual([status === "red" ? 503 : 200, { status }]);
  expect((await ask("", { authorization: "Bearer another" })).status).toBe(401);
});

test("a scraper reads every row as OpenMetrics", async () => {
  const families = parseOpenMetrics(await (await ask("?format=openmetrics", withSecret)).text());
  const rows = await sql`select name from billing.health`;
  const lights = families.get("duebase_health_check_status")?.samples ?? [];
  expect(lights.map(({ labels }) => labels.check)).toEqual(rows.map(({ name }) => name));
});

test("a dead letter makes it 503, and mended it is 200 again", async () => {
  await sql`
    insert into billing.webhook_events (id, type, api_version, livemode, created, received_at)
    values ('evt_dead', 'customer.updated', '2026-10-28.endive', false, now(), now())`;
  await sql`
    insert into billing.failed_webhooks (event_id, status, attempts, error, first_failed_at, last_failed_at)
    values ('evt_dead', 'dead', 4, '{"message": "it broke"}', now(), now())`;
  await answers(503);
  await sql`delete from billing.failed_webhooks where event_id = 'evt_dead'`;
  await answers(200);
}, 60_000);

test("where no tick has come for over five minutes, an event of Stripe's has the alarm posted, once", async () => {
  await sql`update billing.tick_parts set last_tick_at = last_tick_at - interval '10 minutes' where true`;
  const stripe = clientOf(stack.stripe);
  const before = posted.length;
  await stripe.customers.create({ email: "somebody@example.com" });
  await eventually("an alarm is posted", () => posted.length > before, 20_000);
  expect(posted[before]).toMatch(/RED tick: /);
  const alarms = await sql`select name, told_by from billing.alarms where name = 'tick' and ended_at is null`;
  expect(alarms).toEqual([{ name: "tick", told_by: expect.stringMatching(/^duebase-/) }]);
  for (let n = 0; n < 5; n++) await stripe.customers.create({ email: `${n}@example.com` });
  await stack.stripe.settled();
  await answers(503);
  expect(posted.slice(before)).toHaveLength(1);
}, 60_000);

test("as long as the tick runs, the database posts by itself, and says when it is over", async () => {
  const before = posted.length;
  await sql`
    insert into billing.failed_webhooks (event_id, status, attempts, error, first_failed_at, last_failed_at)
    values ('evt_dead', 'dead', 4, '{"message": "it broke"}', now(), now())`;
  await stack.runCronJob("duebase-tick");
  await eventually(
    "the alarm is posted",
    () => posted.slice(before).some((text) => /RED dead-letters: /.test(text)),
    20_000,
  );
  await sql`delete from billing.failed_webhooks where event_id = 'evt_dead'`;
  // What became of the first message is read by a later tick.
  await eventually(
    "that it is over is posted",
    async () => {
      await stack.runCronJob("duebase-tick");
      return posted.slice(before).some((text) => /OVER dead-letters: /.test(text));
    },
    30_000,
  );
  const [alarm] =
    await sql`select told_by from billing.alarms where name = 'dead-letters' order by id desc limit 1`;
  expect(alarm?.told_by).toBe("database");
}, 90_000);
