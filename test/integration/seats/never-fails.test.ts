import { afterAll, beforeAll, beforeEach, expect, it, vi } from "vitest";
import { createTestDatabase, type TestDatabase } from "../../support/database.ts";
import { ownersPage } from "../../support/seats-world.ts";

// Whatever is wrong with Duebase, somebody who joins a team joins it.

// Minutes of this world take seconds on a busy machine.
vi.setConfig({ testTimeout: 120_000 });

let database: TestDatabase;
let team: string;
beforeAll(async () => {
  database = await createTestDatabase();
  for (const name of ["tables", "function", "settings", "seats"]) await database.sql.unsafe(ownersPage(name));
});
afterAll(() => database.drop());
beforeEach(async () => {
  const [row] = await database.sql<
    { id: string }[]
  >`insert into public.teams (name) values ('Team') returning id`;
  team = row?.id ?? "";
});

/** Somebody joins as the application's server does it. Returns after how many ms. */
async function joins(): Promise<number> {
  const user = await database.signUp();
  const startedAt = performance.now();
  await database.sql`insert into public.members values (${team}, ${user}, 'member')`;
  const took = performance.now() - startedAt;
  expect(
    await database.sql`select from public.members where team_id = ${team} and user_id = ${user}`,
  ).toHaveLength(1);
  return took;
}
const counts = () =>
  database.sql`select quantity::int from billing_private.seat_counts where owner_id = ${team} order by id`;
const problems = async () =>
  (
    await database.sql<{ problem: string }[]>`
      select detail ->> 'problem' as problem from billing.audit_events
      where action = 'seats.not_counted' and subject_id = ${team} order by id`
  ).map(({ problem }) => problem);

it("while all goes well, each join is counted", async () => {
  await joins();
  await joins();
  expect(await counts()).toEqual([{ quantity: 1 }, { quantity: 2 }]);
});

/** Holds a lock on tables of ours while work is done. */
async function locked(tables: string, work: () => Promise<void>): Promise<void> {
  const other = database.connect();
  await other.begin(async (sql) => {
    await sql.unsafe(`lock table ${tables} in access exclusive mode`);
    await work();
  });
}

it("the table of counts is locked: the join is through in a moment, on record and alerted", async () => {
  await locked("billing_private.seat_counts", async () => {
    expect(await joins()).toBeLessThan(5_000);
  });
  expect(await counts()).toEqual([]);
  expect(await problems()).toEqual([expect.stringContaining("55P03")]);
  expect(
    await database.sql`select from billing.outbox where kind = 'alert' and payload ->> 'owner_id' = ${team}`,
  ).toHaveLength(1);
});

it("all that it could be put on record in is locked too", async () => {
  await locked(
    "billing_private.seat_counts, billing.audit_events, billing.outbox, billing.seats",
    async () => {
      expect(await joins()).toBeLessThan(5_000);
    },
  );
  expect(await counts()).toEqual([]);
});

it("somebody holds the owner's row and the owner's lock: nothing is waited for", async () => {
  await joins();
  await database.sql`select billing_private.follow_seats() from generate_series(1, 10)`;
  const other = database.connect();
  await other.begin(async (sql) => {
    await sql`select billing_private.lock_owners(array[${team}::uuid])`;
    await sql`select from billing.seats where owner_id = ${team} for update`;
    await joins();
    expect(await counts()).toEqual([{ quantity: 2 }]);
  });
});

it.each([
  ["an exception", "raise exception 'broken'"],
  ["an assertion", "assert false, 'broken'"],
  ["a division by zero", "perform 1 / 0"],
])("the table of counts raises %s", async (_what, statement) => {
  await database.sql.unsafe(`
    create function public.broken() returns trigger language plpgsql as $$ begin ${statement}; return new; end $$;
    create trigger broken before insert on billing_private.seat_counts for each row execute function public.broken()`);
  await joins();
  expect(await problems()).toHaveLength(1);
  await database.sql.unsafe("drop function public.broken cascade");
});

it("settings are missing, and the table of counts is gone", async () => {
  const [settings] = await database.sql`delete from billing.settings where id returning *`;
  await joins();
  expect(await counts()).toEqual([{ quantity: 1 }]);
  await database.sql`insert into billing.settings ${database.sql(settings ?? {})}`;
  await database.sql`alter table billing_private.seat_counts rename to elsewhere`;
  await joins();
  await database.sql`alter table billing_private.elsewhere rename to seat_counts`;
  expect(await problems()).toEqual([expect.stringContaining("42P01")]);
});

it.each([
  ["null", "quantity is null"],
  ["-1", "quantity is not between 0 and 1000000000"],
  ["5000000000", "quantity is not between 0 and 1000000000"],
])("a quantity of %s is refused without raising, and on record", async (quantity, problem) => {
  const [row] = await database.asService((sql) =>
    sql.unsafe(`select billing.sync_seats('${team}', ${quantity}) as taken`),
  );
  expect(row).toEqual({ taken: false });
  expect(await problems()).toEqual([problem]);
  expect(await counts()).toEqual([]);
});

it("an owner that cannot be looked after now delays no other, and is alerted", async () => {
  const [row] = await database.sql<
    { id: string }[]
  >`insert into public.teams (name) values ('Other') returning id`;
  await database.sql`delete from billing_private.seat_counts where true`;
  await joins();
  await database.sql`select billing.sync_seats(${row?.id ?? ""}, 7)`;
  await database.sql.unsafe(`
    create function public.broken() returns trigger language plpgsql as $$
    begin if new.owner_id = '${team}' then raise 'broken'; end if; return new; end $$;
    create trigger broken before insert on billing.seats for each row execute function public.broken()`);
  for (let minute = 0; minute < 3; minute++) {
    await database.sql`select billing_private.follow_seats(now() + ${minute} * interval '1 minute')`;
  }
  expect(
    await database.sql`select quantity::int from billing.seats where owner_id = ${row?.id ?? ""}`,
  ).toEqual([{ quantity: 7 }]);
  await database.sql.unsafe("drop function public.broken cascade");
  await database.sql`select billing_private.follow_seats(now() + interval '4 minutes')`;
  expect(await database.sql`select quantity::int from billing.seats where owner_id = ${team}`).toEqual([
    { quantity: 1 },
  ]);
});
