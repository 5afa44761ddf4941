import postgres from "postgres";
import { afterAll, beforeAll, expect, it } from "vitest";
import { localKeys } from "../../../scripts/local/keys.ts";
import { eventually } from "../../support/stack-project.ts";
import { type DeliverStack, startDeliverStack } from "./deliver-stack.ts";

const MAILS = 12;
/** An address at which nothing listens: pg_net's call is made and lost. */
const NOWHERE = "http://127.0.0.1:9/functions/v1";

let faults: DeliverStack;
beforeAll(async () => {
  faults = await startDeliverStack();
  const { sql } = faults;
  await sql`select vault.create_secret(${localKeys.cronSecret}, 'duebase_cron_secret')`;
});
afterAll(() => faults?.close());

async function callsGoTo(url: string) {
  await faults.sql`
    select vault.update_secret(s.id, ${url}) from vault.secrets as s where s.name = 'duebase_functions_url'
  `;
}
/** Enqueues mails, each in a transaction of its own, which wakes deliver. */
async function enqueue(name: string) {
  for (let mail = 0; mail < MAILS; mail++) {
    const customer = `cus_${name}${mail}`;
    const payload = {
      template: "subscription-paused",
      customer,
      props: { reason: "requested", pausedAt: new Date().toISOString() },
    };
    await faults.sql.begin(async (sql) => {
      await sql`insert into billing.customers (id, email, created) values (${customer}, ${`${name}${mail}@example.com`}, now())`;
      await sql`select billing_private.enqueue('email', ${`${name}:${mail}`}, ${sql.json(payload as never)}, now())`;
    });
  }
}
/** The minute's cron job. */
async function tick() {
  expect(await faults.stack.runCronJob("duebase-tick")).toMatchObject({
    status: "succeeded",
    return_message: "DO",
  });
}
const calls = async (where = "true") =>
  (await faults.sql.unsafe(`select from net._http_response where ${where}`)).length;
const sent = (name: string) =>
  Array.from({ length: MAILS }, (_, mail) => faults.inbox.ledger.count({ to: `${name}${mail}@example.com` }));
async function allDelivered(name: string) {
  const [left] = await faults.sql`
    select count(*)::int as rows from billing.outbox where dedupe_key like ${`${name}:%`} and status <> 'delivered'
  `;
  return left?.rows === 0;
}

it("with every call of pg_net lost, the first tick's too, all is delivered with the second tick, once", async () => {
  await callsGoTo(NOWHERE);
  await enqueue("lost");
  await tick();
  await eventually("calls that were lost", async () => (await calls("error_msg is not null")) >= MAILS + 1);
  expect(sent("lost")).toEqual(Array(MAILS).fill(0));

  await callsGoTo(faults.stack.status.FUNCTIONS_URL);
  await tick();
  await eventually("everything delivered", () => allDelivered("lost"));
  expect(sent("lost")).toEqual(Array(MAILS).fill(1));
});

it("with every wake-up called twice, all is delivered without a tick, once", async () => {
  const before = await calls();
  await asAdmin(`
    create function public.call_again() returns trigger language plpgsql as $$
    begin
      insert into net.http_request_queue (method, url, headers, body, timeout_milliseconds)
      values (new.method, new.url, new.headers, new.body, new.timeout_milliseconds);
      return null;
    end;
    $$;
    create trigger every_call_twice after insert on net.http_request_queue
      for each row when (pg_trigger_depth() < 2) execute function public.call_again();
  `);
  await enqueue("doubled");
  await eventually("everything delivered", () => allDelivered("doubled"));
  await eventually("every call answered", async () => (await calls()) >= before + 2 * MAILS);
  // On a busy machine an answer may come after pg_net has given up. The call was made, and what came of it is counted below.
  expect(await calls("status_code = 202 or timed_out")).toBeGreaterThanOrEqual(2 * MAILS);
  expect(sent("doubled")).toEqual(Array(MAILS).fill(1));
});

async function asAdmin(statements: string) {
  const admin = postgres(faults.stack.postgres.adminUrl, { max: 1, onnotice: () => {} });
  await admin.unsafe(statements);
  await admin.end();
}
