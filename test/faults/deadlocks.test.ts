import type { JSONValue, Sql } from "postgres";
import { afterAll, beforeAll, describe, expect, test, vi } from "vitest";
import { createTestDatabase, type TestDatabase } from "../support/database.ts";
import { FIXTURE_USER, loadFixtures, renamedFixture } from "../support/fixtures.ts";
import { SEED } from "../support/seed.ts";
import { Random } from "../support/simulation/random.ts";

// All writers run at once, about the same few customers. A writer that takes two locks in another order than
// supabase/README.md says waits for one that takes them in that order, and PostgreSQL counts a deadlock.

/** DUEBASE_DEADLOCK_SECONDS makes it longer; DUEBASE_SEED draws the same events again. */
const SECONDS = Number(process.env.DUEBASE_DEADLOCK_SECONDS ?? 5);
const NOW = 1_790_000_000;
/** The same account twice: two customers who share one user, the products and the prices. */
const ACCOUNTS = ["Busya", "Busyb"];

type Row = Record<string, unknown>;

let database: TestDatabase;
let sessions: Sql[];
const random = new Random(SEED);
let made = 0;

beforeAll(async () => {
  console.log(`deadlocks: DUEBASE_SEED=${SEED} DUEBASE_DEADLOCK_SECONDS=${SECONDS}`);
  database = await createTestDatabase();
  // Deadlocks are found quickly.
  sessions = Array.from({ length: 12 }, () => database.connect({ role: "supabase_admin" }));
  await Promise.all(sessions.map((sql) => sql`set deadlock_timeout = '50ms'`));
  await database.signUp({ id: FIXTURE_USER });
  await database.sql`update billing.settings set email_from = 'Example <billing@example.com>' where id`;
  await database.sql.unsafe(`
    create schema app;
    create function app.fail_now_and_then(p_event billing.stripe_events) returns void language plpgsql as
    $$ begin if random() < 0.05 then raise exception 'not now'; end if; end $$;
  `);
});
afterAll(() => database.drop());

const fixtures = loadFixtures();

/** Any event of the fixtures, as it may come: again, later, in another order. */
function anyEvent(): StripeLike {
  const one = renamedFixture(random.pick(fixtures), random.pick(ACCOUNTS));
  const event = JSON.parse(JSON.stringify(one).replaceAll(/(prod|price)_Busy[ab]/g, "$1_Busy")) as StripeLike;
  return { ...event, id: `evt_Busy${++made}`, created: NOW + random.int(0, 40) };
}
type StripeLike = ReturnType<typeof renamedFixture>;

const customers = ACCOUNTS.flatMap((name) => [
  ...new Set(JSON.stringify(fixtures.map((one) => renamedFixture(one, name))).match(/cus_Busy\w+/g)),
]);

/** A random value of a column; undefined where there is none. */
async function any(sql: Sql, column: string, table: string, where = "true"): Promise<unknown> {
  const [row] = await sql.unsafe(
    `select ${column} as value from ${table} where ${where} order by random() limit 1`,
  );
  return row?.value;
}

/** Now or up to a month later: clocks of workers differ. */
const later = () => new Date((NOW + random.int(0, 30) * 86_400) * 1000);

/** Claims mails as a worker does, writes them, gives them to Resend, and has them accepted, refused or not answered. */
async function deliverMails(sql: Sql): Promise<void> {
  const claimed = await sql<{ id: string; claim_id: string }[]>`
    select id, claim_id from billing.claim_outbox('busy', ${random.int(1, 5)}, '5 seconds', '{email}', ${later()})`;
  const claim = claimed[0]?.claim_id ?? null;
  const ids = claimed.map(({ id }) => id);
  if (claim === null) return;
  const [{ steps } = { steps: [] }] = await sql<{ steps: { id: number }[] }[]>`
    select billing.prepare_emails(${ids}, ${claim}, null, ${later()}) as steps`;
  const written = steps.map(({ id }) => ({ id, subject: "s", html: "h", text: "t", locale: "en" }));
  const begun = await sql<{ outbox_id: string }[]>`
    select outbox_id from billing.begin_emails(${claim}, ${sql.json(written)}, null, ${later()})`;
  const answers = begun.map(({ outbox_id: id }) => ({ id: Number(id), resend_id: `re_${claim}_${id}` }));
  const refusal = { id: Number(begun[0]?.outbox_id ?? 0), refusal: { message: "no" } };
  await random.pick<() => PromiseLike<unknown>>([
    () => sql`select billing.finish_emails(${claim}, ${sql.json(answers)}, ${later()})`,
    () =>
      sql`select billing.finish_emails(${claim}, ${sql.json([refusal, ...answers.slice(1)])}, ${later()})`,
    () => sql`select billing.fail_emails(${ids}, ${claim}, '{}', true, null, true, ${later()})`,
    () => sql`select billing.fail_emails(${ids}, ${claim}, '{}', false, null, false, ${later()})`,
    () => sql`select billing.release_outbox(${ids}, ${claim})`,
  ])();
}

async function deliverOthers(sql: Sql): Promise<void> {
  const claimed = await sql<Row[]>`
    select id, claim_id from billing.claim_outbox('busy', ${random.int(1, 5)}, '5 seconds', '{stripe,refresh,dunning,alert}', ${later()})`;
  for (const { id, claim_id } of random.shuffled([...claimed])) {
    await random.pick<() => PromiseLike<unknown>>([
      () => sql`select billing.complete_outbox(${id as string}, ${claim_id as string})`,
      () =>
        sql`select billing.fail_outbox(${id as string}, ${claim_id as string}, '{}', null, ${random.chance(0.5)})`,
      () =>
        sql`select billing.release_outbox(${claimed.map((row) => row.id as string)}, ${claim_id as string})`,
    ])();
  }
}

/** Resend's report of a mail, which is found by its id at Resend or, before that is known, by its tag. */
async function report(sql: Sql): Promise<void> {
  const [mail] = await sql<
    Row[]
  >`select id, tag, outbox_id, resend_id from billing.emails order by id desc offset ${random.int(0, 3)} limit 1`;
  if (mail === undefined) return;
  const type = random.pick(["sent", "delivered", "bounced", "complained", "delivery_delayed"]);
  const told = {
    type: `email.${type}`,
    created_at: later().toISOString(),
    data: {
      email_id: mail.resend_id ?? `re_told_${mail.outbox_id}`,
      tags: { duebase_email: mail.tag },
      bounce: { type: "Permanent", message: "no such mailbox" },
    },
  };
  await sql`select billing.receive_email_report(${`msg_${++made}`}, ${sql.json(told as unknown as JSONValue)})`;
}

const writers: Record<string, (sql: Sql) => PromiseLike<unknown>> = {
  receive: (sql) =>
    sql`select billing.receive_event(${sql.json(anyEvent() as unknown as JSONValue)}, ${later()})`,
  receiveMany: (sql) => {
    const events = Array.from({ length: random.int(2, 20) }, anyEvent);
    return sql`select billing.receive_events(${sql.json(events as unknown as JSONValue)}, ${later()})`;
  },
  // As receiving a list of events in one transaction would.
  refresh: (sql) =>
    sql`select billing.apply_refresh(${sql.json(anyEvent().data.object as unknown as JSONValue)}, ${later()}, ${later()})`,
  // Several in a row, as cron does: each is a transaction of its own.
  retry: async (sql) => {
    const now = later();
    for (let tried = 0; tried < 5; tried++)
      if (!(await sql`select billing.retry_failed_webhook(${now}) as was_tried`)[0]?.was_tried) return;
  },
  replay: async (sql) =>
    sql`select billing.replay_failed_webhook(${(await any(sql, "event_id", "billing.failed_webhooks")) as string})`,
  enqueue: (sql) => sql`
    select billing_private.enqueue('email', ${`busy:${++made}`}, ${sql.json({
      template: random.pick(["subscription-paused", "payment-failed-notice"]),
      customer: random.pick(customers),
      props: {},
    })}, ${later()})`,
  mails: deliverMails,
  others: deliverOthers,
  report,
  replayEffect: async (sql) =>
    sql`select billing.replay_outbox(${(await any(sql, "id", "billing.outbox", "status = 'dead'")) as string})`,
  dunning: (sql) => sql`select billing.advance_dunning(${later()})`,
  steps: async (sql) => {
    const customer = random.pick(customers);
    const checked = await sql`
      select id from billing.invoices where customer = ${customer} union select id from billing.subscriptions where customer = ${customer}`;
    return sql`select billing.take_dunning_steps(${customer}, ${[customer, ...checked.map(({ id }) => id as string)]}, ${later()})`;
  },
  end: async (sql) => {
    const [end] = await sql<Row[]>`
      insert into billing.dunning_actions (case_id, position, kind, anchor_invoice, invoices, status, due_at, decided_at)
      select c.id, 4, 'end', k.invoice, array[k.invoice], 'planned', now(), now()
      from billing.dunning_cases as c
      join billing.dunning_case_invoices as k on k.case_id = c.id
      where c.status = 'open'
      order by random()
      limit 1
      on conflict do nothing
      returning id`;
    if (end === undefined) return;
    const [subject] = await sql`
      select c.customer, c.subscription
      from billing.dunning_actions as d
      join billing.dunning_cases as c on c.id = d.case_id
      where d.id = ${end.id as string}`;
    await sql`
      select billing.review_dunning_end(
        ${end.id as string}, ${[subject?.customer as string, subject?.subscription as string]}, ${later()}
      )`;
    return sql`select billing.finish_dunning_end(${end.id as string}, ${later()})`;
  },
  hand: async (sql) => {
    const id = (await any(sql, "id", "billing.dunning_cases", "status = 'open'")) as string;
    return random.pick<() => PromiseLike<unknown>>([
      () => sql`select billing.hold_dunning(${id}, 'asked')`,
      () => sql`select billing.release_dunning(${id})`,
      () => sql`select billing.close_dunning(${id}, 'enough')`,
      () =>
        sql`select billing.exclude_from_dunning(${random.pick(customers)}, 'a friend', ${new Date(Date.now() + 1000)})`,
    ])();
  },
  credits: (sql) =>
    random.pick<() => PromiseLike<unknown>>([
      () => sql`select billing.grant_credits(${FIXTURE_USER}, 'images', 5, ${`key_${++made}`})`,
      () => sql`select billing.deduct_credits(${FIXTURE_USER}, 'images', 1, ${`key_${++made}`})`,
      () => sql`select billing.record_usage(${FIXTURE_USER}, 'api_calls', 1, ${`key_${++made}`})`,
    ])(),
  // Two ticks never run at once, but for a moment each part may meet another of them, run by an operator.
  jobs: async (sql) =>
    sql.unsafe(
      random.pick([
        String(await any(sql, "command", "cron.job")),
        `select ${await any(sql, "function_name", "billing.tick_parts")}(now())`,
      ]),
    ),
  owners: (sql) => {
    const owner = random.pick([FIXTURE_USER, null]);
    const links = random.shuffled(customers).map((customer) => ({ customer, owner_id: owner }));
    return random.pick<() => PromiseLike<unknown>>([
      () => sql`select count(*) from billing.link_customers(${sql.json(links)})`,
      () => sql`select billing_private.remove_deferred_owners(now())`,
    ])();
  },
  user: (sql) =>
    random.pick<() => PromiseLike<unknown>>([
      () => sql`delete from auth.users where id = ${FIXTURE_USER}`,
      () => sql`select billing.forget_user(${FIXTURE_USER})`,
      () =>
        sql`insert into auth.users (id, aud, role, email, email_confirmed_at) values (${FIXTURE_USER}, 'authenticated', 'authenticated', 'ada@example.com', now()) on conflict do nothing`,
    ])(),
};

/** Deadlocks that a function caught count too; what the server wrote of them tells who waited for whom. */
async function expectNoDeadlock(): Promise<void> {
  await Promise.all(sessions.map((sql) => sql`select pg_stat_force_next_flush()`));
  const [counted] = await database.sql<{ deadlocks: number }[]>`
    select deadlocks::integer from pg_stat_database where datname = current_database()`;
  const [server] = await (sessions[0] as Sql)<{ log: string }[]>`
    select pg_read_file(current_setting('data_directory') || '/../server.log') as log`;
  const lines = server?.log.split("\n") ?? [];
  const told = lines.flatMap((line, at) =>
    line.includes("deadlock detected") ? lines.slice(at, at + 40) : [],
  );
  expect(counted?.deadlocks, told.join("\n")).toBe(0);
}

/** How often each writer is drawn. */
const MIXES: Record<string, Record<string, number>> = {
  // What fails now and then is projected again by several at once, while others lock many customers.
  "about retries": {
    receive: 12,
    receiveMany: 2,
    mails: 1,
    report: 1,
    steps: 2,
    retry: 10,
    replay: 3,
    jobs: 2,
    refresh: 2,
  },
  "about everything": {
    ...Object.fromEntries(Object.keys(writers).map((name) => [name, 1])),
    ...{ receive: 12, mails: 4, report: 4, steps: 3 },
  },
  "about batches": {
    receive: 6,
    receiveMany: 6,
    refresh: 2,
    retry: 2,
    mails: 1,
    report: 1,
    steps: 1,
    credits: 1,
  },
  "about owners": { receive: 12, receiveMany: 2, owners: 3, user: 4, credits: 6, jobs: 2, refresh: 2 },
  // No user is forgotten here, so there is mail until the end.
  "about mail": {
    enqueue: 6,
    mails: 8,
    report: 12,
    receive: 6,
    steps: 2,
    replayEffect: 1,
    dunning: 1,
    hand: 1,
  },
};

describe("at random, while events fail now and then", () => {
  beforeAll(async () => {
    await database.sql`
      insert into billing.event_handlers (event_type, handler, position)
      select distinct h.event_type, 'app.fail_now_and_then', 200 from billing.event_handlers as h`;
  });
  // What is planned below depends on each of its events.
  afterAll(async () => {
    await database.sql`delete from billing.event_handlers where handler = 'app.fail_now_and_then'`;
  });

  test.each(Object.keys(MIXES).toReversed())(
    "no two writers ever wait for each other, %s",
    {
      timeout: (SECONDS + 60) * 1000,
    },
    async (mix) => {
      const until = Date.now() + SECONDS * 1000;
      const draw = Object.entries(MIXES[mix] ?? {}).flatMap(([name, often]) =>
        Array<string>(often).fill(name),
      );
      const done: Record<string, number> = {};
      // Without these writers the test shows nothing. On a slow machine it goes on until each has run once.
      const needed = ["receive", "mails", "report", "steps"].filter((name) => draw.includes(name));
      const goesOn = () =>
        Date.now() < until || (Date.now() < until + 30_000 && needed.some((name) => (done[name] ?? 0) === 0));
      const refused = new Set<string>();
      const deadlocks: string[] = [];
      await Promise.all(
        sessions.map(async (sql) => {
          while (goesOn()) {
            const name = random.pick(draw);
            try {
              await writers[name]?.(sql);
              done[name] = (done[name] ?? 0) + 1;
            } catch (error) {
              const { code, message, where } = error as { code?: string; message: string; where?: string };
              if (code === "40P01") deadlocks.push(`${name}: ${where}`);
              // Other refusals, such as of a case that is closed, are the business of other tests.
              else refused.add(`${name}: ${code} ${message}`);
            }
          }
        }),
      );
      const projections = await database.sql<{ context: string }[]>`
      select error ->> 'context' as context from billing.failed_webhooks where error ->> 'sqlstate' = '40P01'`;
      deadlocks.push(...projections.map(({ context }) => `in a projection: ${context}`));
      expect(deadlocks).toEqual([]);
      await expectNoDeadlock();
      const missing = needed.filter((name) => (done[name] ?? 0) === 0);
      expect(missing, [...refused].join("\n")).toEqual([]);
    },
  );
});

/** Waits until so many sessions wait for the lock of something. */
const untilWaitedFor = (name: string, kind: number, sessions: number) =>
  vi.waitFor(
    async () => {
      const waiting = await database.sql`
        select from pg_locks
        where locktype = 'advisory' and not granted
          and (classid::bigint << 32 | objid::bigint) = hashtextextended(${name}, ${kind})`;
      expect(waiting).toHaveLength(sessions);
    },
    { timeout: 10_000 },
  );

/** Runs two pieces of work while a row that both need is locked, so that both hold their earlier locks. */
async function meet(
  held: (sql: Sql) => Promise<unknown>,
  ...works: ((sql: Sql) => Promise<unknown>)[]
): Promise<void> {
  const [holder, ...others] = sessions as [Sql, ...Sql[]];
  const running: Promise<unknown>[] = [];
  try {
    await holder.unsafe("begin");
    await held(holder);
    for (const [index, work] of works.entries()) {
      const sql = others[index] as Sql;
      const [backend] = await sql<{ pid: number }[]>`select pg_backend_pid() as pid`;
      running.push(work(sql).catch((error: Error) => error));
      await vi.waitFor(
        async () => {
          const waiting =
            await database.sql`select from pg_locks where pid = ${backend?.pid ?? 0} and not granted`;
          expect(waiting).toHaveLength(1);
        },
        { timeout: 10_000 },
      );
    }
    await holder.unsafe("commit");
  } finally {
    await holder.unsafe("rollback");
  }
  expect((await Promise.all(running)).filter((outcome) => outcome instanceof Error)).toEqual([]);
}

/** A mail of a dunning case that is being sent, whose id at Resend is not known yet. */
async function mailUnderWay(): Promise<{
  email: string;
  effect: string;
  action: string;
  tag: string;
  case: string;
}> {
  const [row] = await database.sql<
    { email: string; effect: string; action: string; tag: string; case: string }[]
  >`
    with effect as (
      insert into billing.outbox (kind, dedupe_key, run_after, created_at)
      values ('email', ${`dunning:meet:${++made}`}, now(), now())
      returning id, dedupe_key
    ),
    email as (
      insert into billing.emails
        (outbox_id, dedupe_key, template, from_address, to_address, locale, subject, html, text, status_at, created_at)
      select e.id, e.dedupe_key, 'payment-failed-notice', 'us@example.com', 'ada@example.com', 'en', '', '', '', now(), now()
      from effect as e
      returning id, outbox_id, tag
    ),
    dunned as (
      insert into billing.dunning_cases (subject_id, customer, currency, policy_id, status, anchor_at, ladder_from, amount_due, opened_at)
      values (${`in_Meet${made}`}, 'cus_Meet', 'eur', 1, 'open', now(), now(), 900, now())
      returning id
    ),
    action as (
      insert into billing.dunning_actions
        (case_id, position, kind, anchor_invoice, invoices, status, due_at, decided_at, outbox_id)
      select d.id, 1, 'notice', 'in_Meet', '{in_Meet}', 'planned', now(), now(), m.outbox_id
      from dunned as d, email as m
      returning id, case_id
    )
    select m.id as email, m.outbox_id as effect, a.id as action, m.tag, a.case_id as case from email as m, action as a`;
  if (row === undefined) throw new Error("no mail was made");
  return row;
}

const reportOf = (tag: string, type: string) => (sql: Sql) =>
  sql`select billing.receive_email_report(${`msg_${++made}`}, ${sql.json({
    type,
    created_at: new Date().toISOString(),
    data: { email_id: `re_${tag}`, tags: { duebase_email: tag } },
  })})`;

test("a person is forgotten while an event is on its way that was not known to be theirs when it came", async () => {
  const now = new Date(NOW * 1000);
  const made = { created: NOW, livemode: false };
  const paid = { object: "payment_intent", amount: 900, currency: "eur", status: "succeeded", ...made };
  const link = {
    id: "inpay_Late",
    object: "invoice_payment",
    invoice: "in_Late",
    payment: { type: "payment_intent", payment_intent: "pi_Late" },
    ...{ amount_paid: 900, amount_requested: 900, currency: "eur", status: "paid", ...made },
  };
  const arrive = async (sql: Sql, type: string, object: Row) => {
    const event = { id: `evt_Late${object.id}${type}`, object: "event", type, ...made, data: { object } };
    const [row] = await sql<{ outcome: string }[]>`
      select billing.receive_event(${sql.json(event as unknown as JSONValue)}, ${now}) as outcome`;
    return row?.outcome;
  };
  const [first, second, late, forgetting, usual] = sessions as [Sql, Sql, Sql, Sql, Sql];
  const user = await database.signUp();

  try {
    await first`begin`;
    await first`select pg_advisory_xact_lock(hashtextextended('inpay_Late', 7305))`;
    const told = arrive(late, "invoice_payment.paid", link);
    await untilWaitedFor("inpay_Late", 7305, 1);
    const customer = { id: "cus_Late", object: "customer", metadata: { owner_id: user }, ...made };
    expect(await arrive(usual, "customer.created", customer)).toBe("processed");
    const payment = { ...paid, id: "pi_Late", customer: "cus_Late" };
    expect(await arrive(usual, "payment_intent.succeeded", payment)).toBe("processed");
    // As the link says, and so the two write the same row.
    await usual`
      insert into billing_private.payment_sources (payment_id, kind, object_id, customer)
      values ('pi_Late', 'invoice', 'in_Late', 'cus_Late')`;
    await second`begin`;
    await second`select pg_advisory_xact_lock(hashtextextended('pi_Late', 7306))`;
    await first`commit`;
    await untilWaitedFor("pi_Late", 7306, 1);
    const forgotten = forgetting`select billing.forget_user(${user})`.execute();
    await untilWaitedFor("pi_Late", 7306, 2);
    await second`commit`;
    expect(await told).toBe("processed");
    await forgotten;
  } finally {
    await Promise.all([first`rollback`, second`rollback`]);
  }
  await expectNoDeadlock();
});

test("two reports of a mail whose id is not known wait for one another in turn", async () => {
  const { email, tag } = await mailUnderWay();
  await meet(
    (sql) => sql`select from billing.emails where id = ${email} for no key update`,
    reportOf(tag, "email.sent"),
    reportOf(tag, "email.delivered"),
  );
  expect(await database.sql`select status from billing.emails where id = ${email}`).toEqual([
    { status: "delivered" },
  ]);
});

test("a report of a dunning mail and the end of its case wait for one another in turn", async () => {
  const { action, tag, case: dunned } = await mailUnderWay();
  await meet(
    (sql) => sql`select from billing.dunning_actions where id = ${action} for update`,
    reportOf(tag, "email.sent"),
    (sql) => sql`select billing_private.withdraw_dunning_mail(${dunned}, 'paid', now())`,
  );
  expect(await database.sql`select status from billing.dunning_actions where id = ${action}`).toEqual([
    { status: "sent" },
  ]);
});
