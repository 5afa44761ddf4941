import { setTimeout as delay } from "node:timers/promises";
import type { TransactionSql } from "postgres";
import type { TestDatabase } from "../../support/database.ts";

/** How the application's handler treats the events of one customer. */
export interface Fault {
  customer: string;
  /** Raised, after the handler has done its work; none: it succeeds. */
  sqlstate?: string;
  /** How long it takes first, in seconds. */
  seconds?: number;
}

export interface Failure {
  status: string;
  attempts: number;
  error: { sqlstate?: string; message?: string; context?: string };
  first_failed_at: Date;
  last_failed_at: Date;
  next_attempt_at: Date | null;
  resolved_at: Date | null;
}

/** A customer.created event of customer `cus_<name>`, with id `evt_<name>`. */
export function customerEvent(name: string, changes: object = {}): { id: string } {
  return {
    id: `evt_${name}`,
    object: "event",
    type: "customer.created",
    created: 1_790_000_000,
    livemode: false,
    data: { object: { id: `cus_${name}`, object: "customer", email: `${name}@example.com` } },
    ...changes,
  } as { id: string };
}

/**
 * Adds a handler as an application would, after ours. It counts its runs in app.runs, and fails as app.faults says.
 * Two runs of one event at the same time make it raise AP002, whatever app.faults says.
 */
export async function installHandler(database: TestDatabase): Promise<void> {
  await database.sql.unsafe(`
    create schema app;
    create table app.faults (customer_id text primary key, sqlstate text, seconds double precision);
    create table app.runs (event_id text primary key, times integer not null);
    create function app.handle(p_event billing.stripe_events) returns void language plpgsql as $$
    declare
      fault app.faults;
    begin
      if not pg_try_advisory_xact_lock(hashtextextended(p_event.id, 1)) then
        raise exception 'event % is run twice at the same time', p_event.id using errcode = 'AP002';
      end if;
      insert into app.runs as r (event_id, times) values (p_event.id, 1)
      on conflict (event_id) do update set times = r.times + 1;
      select * into fault from app.faults as f where f.customer_id in (p_event.object_id, '*') limit 1;
      perform pg_sleep(fault.seconds);
      if fault.sqlstate is not null then
        raise exception 'the application cannot handle %', p_event.id using errcode = fault.sqlstate;
      end if;
    end;
    $$;
    insert into billing.event_handlers (event_type, handler) values ('customer.created', 'app.handle');
  `);
}

/** Makes the handler fail for a customer; `*` is every customer. */
export async function breakHandler(database: TestDatabase, fault: Fault): Promise<void> {
  await database.sql`
    insert into app.faults values (${fault.customer}, ${fault.sqlstate ?? null}, ${fault.seconds ?? 0})
    on conflict (customer_id) do update set sqlstate = excluded.sqlstate, seconds = excluded.seconds
  `;
}

export async function mendHandler(database: TestDatabase): Promise<void> {
  await database.sql`truncate app.faults`;
}

/** What is kept of an event's failure, or undefined if it never failed. */
export async function failureOf(database: TestDatabase, event: string): Promise<Failure | undefined> {
  const [row] = await database.sql<Failure[]>`
    select status, attempts, error, first_failed_at, last_failed_at, next_attempt_at, resolved_at
    from billing.failed_webhooks
    where event_id = ${event}
  `;
  return row;
}

/** Runs the retry as cron does, at a time of the test's choosing. Returns how many events were tried, at most `limit`. */
export async function retry(database: TestDatabase, now: Date, limit = 100): Promise<number> {
  for (let tried = 0; tried < limit; tried++) {
    const [row] = await database.asService(
      (sql: TransactionSql) =>
        sql<{ was_tried: boolean }[]>`select billing.retry_failed_webhook(${now}) as was_tried`,
    );
    if (row?.was_tried !== true) return tried;
  }
  return limit;
}

/** Replays an event as an operator does. */
export async function replay(
  database: TestDatabase,
  event: string,
  now = new Date(),
): Promise<string | undefined> {
  const [row] = await database.asService(
    (sql: TransactionSql) =>
      sql<{ outcome: string }[]>`select billing.replay_failed_webhook(${event}, ${now}) as outcome`,
  );
  return row?.outcome;
}

/** Waits until some session of the database waits for a lock. */
export async function untilSomebodyWaits(database: TestDatabase): Promise<void> {
  const deadline = Date.now() + 10_000;
  for (;;) {
    const [row] = await database.sql`
      select count(*)::int as waiting
      from pg_stat_activity
      where datname = current_database() and wait_event_type = 'Lock'
    `;
    if (row?.waiting > 0) return;
    if (Date.now() > deadline) throw new Error("nobody waits for a lock");
    await delay(10);
  }
}

export const minutes = (count: number): number => count * 60_000;

/** `date` moved by milliseconds. */
export const after = (date: Date, ms: number): Date => new Date(date.getTime() + ms);
