import { afterEach, beforeEach, expect, it, vi } from "vitest";
import { SeatsWorld } from "../../support/seats-world.ts";

// Minutes of this world take seconds on a busy machine.
vi.setConfig({ testTimeout: 180_000 });

const JOINING = 500;
/** As many transactions as the test's server has room for at the same time. */
const CONNECTIONS = 16;

let seats: SeatsWorld;
beforeEach(async () => {
  seats = await SeatsWorld.open();
});
afterEach(() => seats.close());

it("500 members who join at once, each in a transaction of their own: one call at Stripe, with the right quantity", async () => {
  const team = await seats.subscribedTeam(1);
  const { database } = seats.world;
  await database.sql`
    insert into auth.users (id, email)
    select gen_random_uuid(), 'joining' || n || '@example.com' from generate_series(1, ${JOINING}) as n`;
  const users = await database.sql<{ id: string }[]>`select id from auth.users where email like 'joining%'`;
  const clients = Array.from({ length: CONNECTIONS }, () => database.connect());
  const waiting = [...users];
  const tick = database.connect();
  let joined = 0;
  await Promise.all(
    clients.map(async (client, index) => {
      for (let user = waiting.pop(); user; user = waiting.pop()) {
        const { id } = user;
        await client.begin(async (sql) => {
          await sql`insert into public.members values (${team.id}, ${id}, 'member')`;
          // Others join meanwhile, and wait for nothing of ours.
          await sql`select pg_sleep(0.001)`;
        });
        joined += 1;
        // The tick is at work at the same time.
        if (index === 0) await tick`select billing_private.follow_seats(${seats.world.now})`;
      }
    }),
  );
  expect(joined).toBe(JOINING);
  await seats.minutes(4);
  expect(await seats.shown(team.id)).toMatchObject({
    quantity: JOINING + 1,
    stripe_quantity: JOINING + 1,
    status: "same",
  });
  expect(await seats.atStripe(team.subscription)).toBe(JOINING + 1);
  expect(seats.changes(team.subscription)).toMatchObject([{ status: 200 }]);
  expect(await database.sql`select from billing.outbox where dedupe_key like 'seats:%'`).toHaveLength(1);
});

it("teams that change at once, while their customers' events come and a team is deleted: no deadlock, and each is followed", async () => {
  const { database } = seats.world;
  const teams = [await seats.subscribedTeam(1), await seats.subscribedTeam(1), await seats.subscribedTeam(1)];
  const [deadlocks] = await database.sql<{ deadlocks: number }[]>`
    select deadlocks::int from pg_stat_database where datname = current_database()`;
  const users = await Promise.all(Array.from({ length: 30 }, () => database.signUp()));
  const work: Promise<unknown>[] = [];
  const clients = Array.from({ length: 6 }, () => database.connect());
  for (const [index, user] of users.entries()) {
    const client = clients[index % clients.length];
    // In one transaction all teams, in an order of its own: what is locked is locked in order.
    const order = index % 2 === 0 ? teams : [...teams].reverse();
    work.push(
      client?.begin(async (sql) => {
        for (const { id } of index % 3 === 0 ? order.slice(0, 1) : []) {
          await sql`insert into public.members values (${id}, ${user}, 'member')`;
        }
        if (index % 3 !== 0) {
          await sql`
            insert into public.members
            select t.id, ${user}, 'member' from public.teams as t where t.id = any (${order.map(({ id }) => id)})`;
        }
      }) ?? Promise.resolve(),
    );
    if (index % 5 === 0) {
      const { customer } = order[0] ?? { customer: "" };
      work.push(
        seats.world.stripe.customers
          .update(customer, { name: `Name ${index}` })
          .then(() => seats.world.arrive()),
      );
      work.push(seats.tick());
    }
  }
  await Promise.all(work);
  await seats.minutes(4);
  for (const team of teams)
    expect(await seats.atStripe(team.subscription)).toBe(await seats.members(team.id));
  const [after] = await database.sql<{ deadlocks: number }[]>`
    select deadlocks::int from pg_stat_database where datname = current_database()`;
  expect(after).toEqual(deadlocks);
});
