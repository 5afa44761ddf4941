import type { JSONValue } from "postgres";
import { afterAll, beforeAll, expect, test } from "vitest";
import { createTestDatabase, type TestDatabase } from "../../support/database.ts";
import { told } from "../../support/orders.ts";
import { customer } from "../../support/stripe/customers.ts";
import { untilSomebodyWaits } from "../retries/handlers.ts";
import { catalogue, havings, letTeamsPay, NOW, newTeam, ownerOf, subscribed } from "./teams.ts";

// No foreign key keeps a customer from being linked to an owner who is deleted in that moment: the owner's lock does,
// and asking again once it is held.

const ROUNDS = 20;

let database: TestDatabase;
beforeAll(async () => {
  database = await createTestDatabase();
  await letTeamsPay(database);
  for (const event of catalogue()) await database.receive(event);
});
afterAll(() => database.drop());

const NOTHING = { features: [], usage: 0, credits: 0, customers: [] };

test("a link that waits while its owner is deleted links nobody", async () => {
  const team = newTeam();
  const [deletion, event] = [database.connect(), database.connect()];
  await deletion.unsafe(`begin; select billing.owner_deleted('${team}')`);
  // The customer is new: the deletion could not have taken its lock.
  const [created] = subscribed("Meanwhile1", team);
  const received =
    event`select billing.receive_event(${event.json(created as unknown as JSONValue)}) as outcome`.execute();
  await untilSomebodyWaits(database);
  await deletion`commit`;
  expect(await received).toEqual([{ outcome: "processed" }]);
  expect(await ownerOf(database, "cus_Meanwhile1")).toBeNull();
});

test("a deletion that waits while a customer is linked unlinks that one too, and leaves it to the next one who is named", async () => {
  const [team, next] = [newTeam(), newTeam()];
  const [deletion, operator] = [database.connect(), database.connect()];
  await operator`begin`;
  for (const event of subscribed("Meanwhile2", next))
    await operator`select billing.receive_event(${operator.json(event as unknown as JSONValue)})`;
  await operator`select billing.link_customers(${operator.json([{ customer: "cus_Meanwhile2", owner_id: team }])})`;
  const deleted = deletion`select billing.owner_deleted(${team}) as unlinked`.execute();
  await untilSomebodyWaits(database);
  await operator`commit`;
  expect(await deleted).toEqual([{ unlinked: 1 }]);
  expect(await havings(database, team)).toEqual(NOTHING);
  expect(await havings(database, next)).toMatchObject({
    features: ["export"],
    customers: ["cus_Meanwhile2"],
  });
});

test("credits that wait while their owner is deleted are refused", async () => {
  const team = newTeam();
  const [deletion, grant] = [database.connect(), database.connect()];
  await deletion.unsafe(`begin; select billing.owner_deleted('${team}')`);
  const granted = grant`select billing.grant_credits(${team}, 'images', 5, 'late')`
    .execute()
    .catch((error) => error);
  await untilSomebodyWaits(database);
  await deletion`commit`;
  expect(await granted).toMatchObject({ code: "DU018" });
  expect(await havings(database, team)).toEqual(NOTHING);
});

test("events, operators and deletions of teams that take over one another's customers never wait for each other", async () => {
  const sessions = Array.from({ length: 6 }, () => database.connect({ role: "supabase_admin" }));
  for (const sql of sessions) await sql`set deadlock_timeout = '50ms'`;
  for (let round = 0; round <= ROUNDS; round++) {
    const teams = [newTeam(), newTeam(), newTeam()] as const;
    const names = [`Round${round}a`, `Round${round}b`] as const;
    for (const [index, name] of names.entries())
      for (const event of subscribed(name, teams[index])) await database.receive(event);
    const rename = (name: string, team: string, at: number) =>
      told(
        "customer.updated",
        NOW + at,
        customer({ id: `cus_${name}`, created: NOW, metadata: { owner_id: team } }),
      );
    const [a, b] = names;
    const links = (...pairs: [string, string][]) =>
      pairs.map(([name, team]) => ({ customer: `cus_${name}`, owner_id: team }));
    const works: ((sql: (typeof sessions)[number]) => PromiseLike<unknown>)[] = [
      (sql) => sql`select billing.owner_deleted(${teams[0]})`,
      (sql) => sql`select billing.owner_deleted(${teams[1]})`,
      (sql) =>
        sql`select billing.receive_event(${sql.json(rename(a, teams[1], 10) as unknown as JSONValue)})`,
      (sql) =>
        sql`select billing.receive_event(${sql.json(rename(b, teams[0], 10) as unknown as JSONValue)})`,
      (sql) =>
        sql`select count(*) from billing.link_customers(${sql.json(links([a, teams[2]], [b, teams[1]]))})`,
      (sql) =>
        sql`select count(*) from billing.link_customers(${sql.json(links([b, teams[2]], [a, teams[0]]))})`,
    ];
    const workOf = (index: number) => works[index]?.(sessions[index] as (typeof sessions)[number]);
    // The first round one after the other: a session's first call is slow, and a deletion that waits for five of them in
    // turn leaves what it could not do to the tick.
    if (round === 0) for (const index of works.keys()) await workOf(index);
    else await Promise.all([...works.keys()].map(workOf));
    expect(await havings(database, teams[0])).toEqual(NOTHING);
    expect(await havings(database, teams[1])).toEqual(NOTHING);
  }
  expect(await database.sql`select from billing.failed_webhooks`).toHaveLength(0);
  expect(await database.sql`select from billing_private.deleted_owners where not is_finished`).toHaveLength(
    0,
  );
  const [counted] = await database.sql`
    select deadlocks::integer from pg_stat_database where datname = current_database()`;
  expect(counted).toEqual({ deadlocks: 0 });
});
