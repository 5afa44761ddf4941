import type { Sql } from "postgres";
import { afterAll, beforeAll, expect, test } from "vitest";
import { createTestDatabase, type TestDatabase } from "../../support/database.ts";
import { after, customerEvent, failureOf, minutes, retry, untilSomebodyWaits } from "./handlers.ts";

// Real ones: a lock that is held, a deadlock, a row that changed under a snapshot.

const start = new Date("2026-11-01T12:00:00Z");

let database: TestDatabase;
beforeAll(async () => {
  database = await createTestDatabase();
  await database.sql.unsafe(`
    create schema app;
    create table app.counters (name text primary key, value integer not null default 0);
    create sequence app.tries;
    insert into app.counters (name) values ('first'), ('second'), ('snapshot');
    create function app.lock_both(p_event billing.stripe_events) returns void language plpgsql as $$
    begin
      if p_event.object_id = 'cus_deadlocked' then
        update app.counters set value = value + 1 where name = 'first';
        update app.counters set value = value + 1 where name = 'second';
      elsif p_event.object_id = 'cus_victim_once' and nextval('app.tries') = 1 then
        raise exception 'as the victim of a deadlock' using errcode = 'deadlock_detected';
      elsif p_event.object_id = 'cus_overtaken' then
        update app.counters set value = value + 1 where name = 'snapshot';
      end if;
    end;
    $$;
    insert into billing.event_handlers (event_type, handler) values ('customer.created', 'app.lock_both');
  `);
});
afterAll(() => database.drop());

/** A session that has received an event: the first one takes longest, and is not to use up the time of the second. */
async function warmSession(name: string): Promise<Sql> {
  const session = database.connect();
  await session`select billing.receive_event(${session.json(customerEvent(`warm_${name}`))}, ${start})`;
  return session;
}

/** A transaction that stays open until it is told to end. */
async function hold(session: Sql, work: string): Promise<() => Promise<void>> {
  await session.unsafe(`begin; ${work}`);
  return async () => {
    await session.unsafe("rollback");
  };
}

async function expectLostRace(event: string, ...sqlstates: string[]): Promise<void> {
  const failure = await failureOf(database, event);
  expect(failure).toMatchObject({
    status: "retrying",
    attempts: 0,
    error: { sqlstate: expect.toBeOneOf(sqlstates) },
  });
  expect(failure?.next_attempt_at?.getTime()).toBeGreaterThanOrEqual(after(start, minutes(1)).getTime());
  expect(failure?.next_attempt_at?.getTime()).toBeLessThanOrEqual(after(start, minutes(1.2)).getTime());
  await retry(database, after(start, minutes(2)));
  expect(await failureOf(database, event)).toMatchObject({ status: "resolved", attempts: 0 });
}

test("a customer whose turn does not come within three seconds: kept, retried, not counted", async () => {
  // Another projection of the same customer that does not end: its session is idle in transaction.
  const other = database.connect();
  const event = customerEvent("waiting");
  const release = await hold(
    other,
    `select billing.receive_event('${JSON.stringify({ ...event, id: "evt_before_it" })}', '${start.toISOString()}')`,
  );
  const begun = performance.now();
  expect(await database.receive(event, start)).toBe("failed");
  const waited = performance.now() - begun;
  expect(waited).toBeGreaterThan(2_900);
  expect(waited, "well within the API's 8 s").toBeLessThan(6_000);
  await release();
  await expectLostRace("evt_waiting", "55P03");
});

test("a deadlock in which the projection is the victim: projected once more at once", async () => {
  expect(await database.receive(customerEvent("victim_once"), start)).toBe("processed");
  expect(await database.sql`select last_value::integer as tries from app.tries`).toEqual([{ tries: 2 }]);
});

test("a deadlock, and the rows stay held: kept, retried, not counted", async () => {
  const other = database.connect();
  // The one who waited first finds the deadlock; the other is told to look for one only much later.
  const release = await hold(
    other,
    "set local deadlock_timeout = '20s'; update app.counters set value = value + 1 where name = 'second'",
  );
  const receiving = database.receive(customerEvent("deadlocked"), start);
  await untilSomebodyWaits(database);
  await other.unsafe("update app.counters set value = value + 1 where name = 'first'");
  expect(await receiving).toBe("failed");
  await release();
  // The second attempt met the same deadlock, or waited behind the other until its time was over.
  await expectLostRace("evt_deadlocked", "40P01", "55P03");
});

test("a serialization failure: kept, retried, not counted", async () => {
  const session = database.connect();
  await session.unsafe("begin isolation level repeatable read; select from app.counters");
  await database.sql`update app.counters set value = value + 1 where name = 'snapshot'`;
  const payload = session.json(customerEvent("overtaken"));
  expect(await session`select billing.receive_event(${payload}, ${start}) as outcome`).toEqual([
    { outcome: "failed" },
  ]);
  await session.unsafe("commit");
  await expectLostRace("evt_overtaken", "40001");
});

test("a statement that runs out of time while another holds the customer: kept, retried, not counted", async () => {
  const other = database.connect();
  const event = customerEvent("out_of_time");
  const release = await hold(
    other,
    `select billing.receive_event('${JSON.stringify({ ...event, id: "evt_holds_it" })}', '${start.toISOString()}')`,
  );
  const session = await warmSession("out_of_time");
  await session`set statement_timeout = '1s'`;
  expect(await session`select billing.receive_event(${session.json(event)}, ${start}) as outcome`).toEqual([
    { outcome: "failed" },
  ]);
  await release();
  await expectLostRace("evt_out_of_time", "57014");
});

test("a statement that runs out of time while another holds a row of the handler's: kept, retried, not counted", async () => {
  const release = await hold(
    database.connect(),
    "update app.counters set value = value + 1 where name = 'snapshot'",
  );
  const session = await warmSession("behind_a_row");
  await session`set statement_timeout = '1s'`;
  const event = session.json({ ...customerEvent("overtaken"), id: "evt_behind_a_row" });
  expect(await session`select billing.receive_event(${event}, ${start}) as outcome`).toEqual([
    { outcome: "failed" },
  ]);
  await release();
  await expectLostRace("evt_behind_a_row", "57014");
});

test("an event that comes last in a statement whose time others used up: kept, retried, not counted", async () => {
  const session = await warmSession("comes_last");
  await session.unsafe(`
    create function app.take_its_time(p_event billing.stripe_events) returns void language plpgsql as $$
    begin
      perform pg_sleep(case p_event.object_id when 'cus_first' then 1.2 when 'cus_last' then 0.8 end);
    end;
    $$;
    insert into billing.event_handlers (event_type, handler) values ('customer.created', 'app.take_its_time');
    set statement_timeout = '1800ms';
  `);
  expect(
    await session.unsafe(`
      select
        billing.receive_event('${JSON.stringify(customerEvent("first"))}', '${start.toISOString()}') as first,
        billing.receive_event('${JSON.stringify(customerEvent("last"))}', '${start.toISOString()}') as last
    `),
  ).toEqual([{ first: "processed", last: "failed" }]);
  await expectLostRace("evt_last", "57014");
});
