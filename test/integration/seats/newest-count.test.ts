import { randomUUID } from "node:crypto";
import type { ReservedSql } from "postgres";
import { afterAll, afterEach, beforeAll, describe, expect, it, vi } from "vitest";
import { createTestDatabase, type TestDatabase } from "../../support/database.ts";
import { SEED } from "../../support/seed.ts";
import { Random } from "../../support/simulation/random.ts";

// Counts of several owners, while the application's transactions commit late, ticks fail at some owners and find others
// locked. An owner's counts grow, so that an older one that wins is seen.

vi.setConfig({ testTimeout: 300_000 });

/** How many histories are played, each with a seed of its own. DUEBASE_SEED plays one again. */
const HISTORIES = Number(process.env.DUEBASE_SEAT_COUNT_HISTORIES ?? 3);
const STEPS = 50;
const OWNERS = 5;
const START = new Date("2026-11-01T12:00:00Z").getTime();

let database: TestDatabase;
beforeAll(async () => {
  database = await createTestDatabase();
  await database.sql.unsafe(`
    create schema app;
    create function app.teams_of(user_id uuid) returns table (owner_id uuid, can_manage boolean)
    language sql stable set search_path = '' as $$ select null::uuid, false where false $$;
    update billing.settings set owners_function = 'app.teams_of' where id;
    create table app.broken (owner_id uuid primary key);
    create function app.refuse() returns trigger language plpgsql as $$
    begin
      if exists (select from app.broken as b where b.owner_id = new.owner_id) then raise 'broken'; end if;
      return new;
    end $$;
    create trigger refuse before insert or update on billing.seats for each row execute function app.refuse();
  `);
});
afterAll(() => database.drop());

/** What is known of an owner. */
interface Owner {
  id: string;
  /** The last count, which may not be committed yet, and the last one that is. */
  counted: number;
  committed: number;
  /** A transaction of the application's that has counted and not committed. */
  open?: ReservedSql;
  isBroken: boolean;
  shown: number;
}

class History {
  readonly owners: Owner[] = Array.from({ length: OWNERS }, () => ({
    id: randomUUID(),
    counted: 0,
    committed: 0,
    isBroken: false,
    shown: 0,
  }));
  now = START;
  readonly #random: Random;

  constructor(random: Random) {
    this.#random = random;
  }

  async step(): Promise<void> {
    const owner = this.#random.pick(this.owners);
    const kind = this.#random.int(1, 10);
    // The application counts an owner's members one after the other.
    if (kind <= 3 && !owner.open) await this.#count(owner);
    else if (kind <= 5 && !owner.open) await this.#begin(owner);
    else if (kind === 6 && owner.open) await this.#end(owner, this.#random.chance(0.8));
    else if (kind === 7) await this.#break(owner, !owner.isBroken);
    else if (kind === 8)
      await database.sql`select billing_private.note_seats_of(array[${owner.id}::uuid], ${new Date(this.now)})`;
    else await this.tick();
  }

  async end(): Promise<void> {
    for (const owner of this.owners) {
      if (owner.open) await this.#end(owner, true);
      await this.#break(owner, false);
    }
    await this.tick();
  }

  /** A minute passes, and the part of the tick runs until it finds nothing. */
  async tick(): Promise<void> {
    this.now += 60_000;
    let calls = 0;
    for (;;) {
      const [row] = await database.sql<{ done: number }[]>`
        select billing_private.follow_seats(${new Date(this.now)}) as done`;
      if (!row?.done) break;
      expect(++calls).toBeLessThanOrEqual(OWNERS);
    }
    await this.check();
  }

  async check(): Promise<void> {
    for (const owner of this.owners) {
      const [row] = await database.sql<{ shown: number; used: number }[]>`
        select coalesce((select s.quantity from billing.seats as s where s.owner_id = ${owner.id}), 0)::int as shown,
          (billing.limit_seats(${owner.id})).used::int as used`;
      if (!row) throw new Error("no row");
      expect(row.shown, "an older count never wins").toBeGreaterThanOrEqual(owner.shown);
      if (!owner.isBroken) expect(row.shown, "the newest count is shown").toBe(owner.committed);
      expect(row.used, "what is used is the newest count").toBe(owner.committed);
      owner.shown = row.shown;
    }
  }

  async #count(owner: Owner): Promise<void> {
    owner.committed = ++owner.counted;
    await database.sql`select billing.sync_seats(${owner.id}, ${owner.counted})`;
  }

  async #begin(owner: Owner): Promise<void> {
    owner.open = await database.connect().reserve();
    await owner.open`begin`;
    await owner.open`select billing.sync_seats(${owner.id}, ${++owner.counted})`;
  }

  async #end(owner: Owner, commits: boolean): Promise<void> {
    await owner.open?.unsafe(commits ? "commit" : "rollback");
    owner.open?.release();
    delete owner.open;
    if (commits) owner.committed = owner.counted;
  }

  async #break(owner: Owner, isBroken: boolean): Promise<void> {
    owner.isBroken = isBroken;
    if (isBroken) await database.sql`insert into app.broken values (${owner.id})`;
    else await database.sql`delete from app.broken where owner_id = ${owner.id}`;
  }
}

it.each(Array.from({ length: HISTORIES }, (_, index) => SEED + index))(
  "the newest count wins, whatever fails and whenever it is committed, and nobody waits for an owner that fails: DUEBASE_SEED=%i",
  async (seed) => {
    const history = new History(new Random(seed));
    for (let step = 0; step < STEPS; step++) await history.step();
    await history.end();
    expect(await database.sql`select from billing_private.seat_counts`).toHaveLength(0);
  },
);

describe("an owner whose lock somebody holds", () => {
  afterEach(() => database.sql`delete from billing_private.seat_counts`);

  it("delays nobody: all others have their turn in the same tick", async () => {
    const [held, ...others] = Array.from({ length: 4 }, () => randomUUID());
    if (!held) throw new Error("no owner");
    await database.connect().begin(async (sql) => {
      await sql`select billing_private.lock_owners(array[${held}::uuid])`;
      for (const id of [held, ...others]) await database.sql`select billing.sync_seats(${id}, 3)`;
      for (let call = 0; call < 5; call++)
        await database.sql`select billing_private.follow_seats(${new Date(START)})`;
      const shown = await database.sql<{ owner_id: string }[]>`
        select owner_id from billing.seats where owner_id = any (${[held, ...others]}::uuid[])`;
      expect(shown.map(({ owner_id }) => owner_id).sort()).toEqual(others.sort());
    });
    await database.sql`select billing_private.follow_seats(${new Date(START + 60_000)})`;
    expect(await database.sql`select from billing.seats where owner_id = ${held}`).toHaveLength(1);
  });
});

it("two owners whose changes expire within one hour are two alerts, and the same one told twice is one", async () => {
  const tell = (owner: string, now: number) => database.sql`
    select billing_private.tell_of_seats(
      s, jsonb_populate_record(s, '{"status": "expired", "subscription": "sub_1", "item": "si_1"}'), 'cus_1', ${new Date(now)}
    )
    from billing.seats as s where s.owner_id = ${owner}`;
  const owners = [randomUUID(), randomUUID()];
  for (const owner of owners) {
    await database.sql`
      insert into billing.seats (owner_id, quantity, counted_at, count_id, status, status_since)
      values (${owner}, 3, ${new Date(START)}, 0, 'declined', ${new Date(START)})`;
    await tell(owner, START + 1000);
    await tell(owner, START + 2000);
  }
  const alerts = await database.sql<{ owner: string }[]>`
    select payload ->> 'owner_id' as owner from billing.outbox where kind = 'alert' and payload ->> 'cause' = 'seats_not_paid'`;
  expect(alerts.map(({ owner }) => owner).sort()).toEqual(owners.sort());
});
