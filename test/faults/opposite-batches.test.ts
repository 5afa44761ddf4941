import type { Sql } from "postgres";
import { afterAll, beforeAll, expect, test } from "vitest";
import { createTestDatabase, type ReceivedInBatch, type TestDatabase } from "../support/database.ts";
import { FIXTURE_USER, loadFixtures, renamedFixture } from "../support/fixtures.ts";
import { receiveAll } from "../support/histories/batches.ts";
import { SEED } from "../support/seed.ts";
import { Random } from "../support/simulation/random.ts";
import type { StripeEvent } from "../support/stripe/events.ts";

// A batch holds what its first event took while it projects its last. Two batches that concern the same customers in
// opposite orders are what deadlocks, unless each takes what it needs in front and in one order.

/** DUEBASE_BATCH_SECONDS makes it longer; DUEBASE_SEED draws the same batches again. */
const SECONDS = Number(process.env.DUEBASE_BATCH_SECONDS ?? 5);
const CONNECTIONS = 8;
const NOW = 1_790_000_000;
/** The same account many times, with its own customers; the plans are the same everywhere. */
const ACCOUNTS = Array.from({ length: 40 }, (_, index) => `Opp${String(index).padStart(4, "0")}`);
/** Several customers belong to each of them. */
const USERS = Array.from({ length: 4 }, (_, index) => `0c0ffee0-1111-4222-8333-94445555666${index}`);

let database: TestDatabase;
let sessions: Sql[];
const random = new Random(SEED);
const fixtures = loadFixtures();
let made = 0;
const sent = new Set<string>();

beforeAll(async () => {
  console.log(`opposite batches: DUEBASE_SEED=${SEED} DUEBASE_BATCH_SECONDS=${SECONDS}`);
  database = await createTestDatabase();
  for (const id of USERS) await database.signUp({ id });
  sessions = Array.from({ length: CONNECTIONS }, () => database.connect({ role: "supabase_admin" }));
  // Above what a batch waits, and far below PostgreSQL's own: what would deadlock is found.
  await Promise.all(sessions.map((sql) => sql`set deadlock_timeout = '50ms'`));
});
afterAll(() => database?.drop());

/** Any event of one account's story, under a new id. */
function anyEventOf(account: string): StripeEvent {
  const user = USERS[ACCOUNTS.indexOf(account) % USERS.length] ?? "";
  const text = JSON.stringify(renamedFixture(random.pick(fixtures), account))
    .replaceAll(/(prod|price)_Opp\d{4}/g, "$1_Opp")
    .replaceAll(FIXTURE_USER, user);
  return { ...(JSON.parse(text) as StripeEvent), id: `evt_Opp${++made}`, created: NOW + random.int(0, 40) };
}

const asText = (events: readonly StripeEvent[]) =>
  `[${events.map((event) => JSON.stringify(event)).join(",")}]`;

test("batches about the same customers in opposite orders never deadlock, and lose nothing", {
  timeout: (SECONDS + 60) * 1000,
}, async () => {
  const until = Date.now() + SECONDS * 1000;
  const answers: Partial<Record<ReceivedInBatch, number>> = {};
  const alone: Record<string, number> = {};
  let batches = 0;
  const send = async (sql: Sql, events: StripeEvent[]) => {
    batches++;
    for (const { id } of events) sent.add(id);
    for (const [position, answer] of (await receiveAll(sql, asText(events))).entries()) {
      answers[answer] = (answers[answer] ?? 0) + 1;
      if (answer !== "retry_single") continue;
      const [row] = await sql<{ outcome: string }[]>`
        select billing.receive_event(${JSON.stringify(events[position])}::text::jsonb) as outcome`;
      alone[String(row?.outcome)] = (alone[String(row?.outcome)] ?? 0) + 1;
    }
  };
  while (Date.now() < until) {
    await Promise.all(
      Array.from({ length: CONNECTIONS / 2 }, async (_, pair) => {
        const accounts = random.shuffled(ACCOUNTS).slice(0, 15);
        const batch = () => accounts.flatMap((account) => [anyEventOf(account), anyEventOf(account)]);
        // One of the pair has some of the other's very events, as when Stripe delivers them again.
        const one = batch();
        const other = [...batch().slice(5), ...one.slice(0, 5)].toReversed();
        await Promise.all([send(sessions[pair * 2] as Sql, one), send(sessions[pair * 2 + 1] as Sql, other)]);
      }),
    );
  }

  console.log(`${batches} batches: ${JSON.stringify(answers)}; alone: ${JSON.stringify(alone)}`);
  const [counted] = await database.sql<{ deadlocks: number; stored: number; failed: unknown }[]>`
    select
      (select deadlocks::integer from pg_stat_database where datname = current_database()) as deadlocks,
      (select count(*)::integer from billing.webhook_events) as stored,
      (select jsonb_agg(error) from billing.failed_webhooks) as failed`;
  expect(counted).toEqual({ deadlocks: 0, stored: sent.size, failed: null });
  expect(answers.processed ?? 0).toBeGreaterThan(0);
});
