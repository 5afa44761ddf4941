import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { createTestDatabase, type TestDatabase } from "../../support/database.ts";
import { featuresOf, Story, tell, versionOf } from "./story.ts";

let database: TestDatabase;
let story: Story;
let user: string;
beforeAll(async () => {
  database = await createTestDatabase();
});
beforeEach(async () => {
  story = new Story();
  user = await database.signUp();
});
afterAll(() => database.drop());

describe("a client that waits for its user's entitlements", () => {
  /** Listens from now on; `next` is the notification that comes next. */
  async function listen() {
    const heard: string[] = [];
    let wake = () => {};
    const listener = database.connect();
    await listener.listen("billing_entitlements", (payload) => {
      heard.push(payload);
      wake();
    });
    return {
      heard,
      async next(): Promise<{ owner_id: string; version: number }> {
        const giveUp = setTimeout(() => wake(), 10_000);
        if (heard.length === 0) await new Promise<void>((resolve) => (wake = resolve));
        clearTimeout(giveUp);
        const payload = heard.shift();
        if (payload === undefined) throw new Error("no notification came");
        return JSON.parse(payload) as { owner_id: string; version: number };
      },
    };
  }

  it("hears of a plan change when it is committed, and one query shows all of it", async () => {
    await tell(
      database,
      story.product("export", "a"),
      story.product("export, sso", "b"),
      story.customer(user),
      story.subscription({}, ["a"]),
    );
    const client = await listen();
    await tell(database, story.subscription({}, ["b"]));
    const { owner_id, version } = await client.next();
    const rows = await database.asUser(
      user,
      (sql) =>
        sql`select feature, version, billing.entitlements_version() as current from billing.entitlements order by 1`,
    );
    expect({ owner_id, version }).toEqual({ owner_id: user, version: 2 });
    expect(rows).toEqual([
      // Its subscription is the same one, and so is everything else about it.
      { feature: "export", version: "1", current: "2" },
      { feature: "sso", version: "2", current: "2" },
    ]);
  });

  it("is not woken by what changed nothing, nor before the commit, nor with anything but id and version", async () => {
    await tell(database, story.product("export"), story.customer(user), story.subscription());
    const client = await listen();
    await tell(database, story.subscription(), story.customer(user));
    const ending = story.subscription({ status: "canceled" });
    await database.sql.begin(async (sql) => {
      await sql`select billing.receive_event(${sql.json(ending as never)})`;
      // A query of the listener's database round trips, and still nothing has been heard.
      await database.sql`select 1`;
      expect(client.heard).toEqual([]);
    });
    expect(await client.next()).toEqual({ owner_id: user, version: 2 });
    expect(client.heard).toEqual([]);
  });

  it("hears nothing of an event whose projection failed", async () => {
    await tell(database, story.product("export"), story.customer(user));
    const client = await listen();
    const broken = story.subscription();
    (broken.data.object.items as { data: object[] }).data.push({ id: story.id("si", "x"), quantity: "many" });
    expect(await database.receive(broken)).toBe("failed");
    expect(await featuresOf(database, user)).toEqual([]);
    await tell(database, story.subscription());
    expect(await client.next()).toEqual({ owner_id: user, version: 1 });
  });
});

describe("two at the same time", () => {
  /** Projects both in transactions that are open at once; the first commits when the second waits or is done. */
  async function overlap(first: object, second: object): Promise<void> {
    const [one, other] = [database.connect(), database.connect()];
    const [backend] = await other<{ pid: number }[]>`select pg_backend_pid() as pid`;
    let isDone = false;
    let late: Promise<unknown> = Promise.resolve();
    await one.begin(async (sql) => {
      await sql`select billing.receive_event(${sql.json(first as never)})`;
      late = other`select billing.receive_event(${other.json(second as never)})`.then(() => {
        isDone = true;
      });
      const giveUp = Date.now() + 10_000;
      while (!isDone) {
        const [waiting] =
          await database.sql`select from pg_locks where pid = ${backend?.pid ?? 0} and not granted`;
        if (waiting) break;
        if (Date.now() > giveUp) throw new Error("the second neither finished nor waits");
      }
    });
    await late;
    expect(
      await database.sql`select error from billing.failed_webhooks where event_id like ${`%${story.name}`}`,
    ).toEqual([]);
  }

  it("subscriptions of two customers of one user are both seen", async () => {
    await tell(
      database,
      story.product("export", "a"),
      story.product("export, sso", "b"),
      story.customer(user, "1"),
      story.customer(user, "2"),
    );
    await overlap(story.subscription({}, ["a"], "1"), story.subscription({}, ["b"], "2"));
    const rows = await database.sql`
      select feature, sources from billing.entitlements where owner_id = ${user} order by feature
    `;
    expect(rows).toEqual([
      { feature: "export", sources: [story.id("sub", "1"), story.id("sub", "2")] },
      { feature: "sso", sources: [story.id("sub", "2")] },
    ]);
  });

  it("a subscription and the link of its user's other customer are both seen", async () => {
    await tell(database, story.product("export", "a"), story.product("sso", "b"), story.customer(user, "1"));
    await tell(database, story.customer(null, "2"), story.subscription({}, ["b"], "2"));
    await overlap(story.subscription({}, ["a"], "1"), story.customer(user, "2"));
    expect(await featuresOf(database, user)).toEqual(["export", "sso"]);
  });

  it("a subscription and the sign-up of its user: whoever is later sees the other", async () => {
    const late = crypto.randomUUID();
    await tell(database, story.product("export"), story.customer(late));
    const one = database.connect();
    let signingUp: Promise<unknown> = Promise.resolve();
    await one.begin(async (sql) => {
      await sql`select billing.receive_event(${sql.json(story.subscription() as never)})`;
      signingUp = database.signUp({ id: late });
      const giveUp = Date.now() + 10_000;
      for (;;) {
        const [waiting] = await database.sql`
          select from pg_locks
          where locktype = 'advisory' and not granted
            and database = (select oid from pg_database where datname = current_database())`;
        if (waiting) break;
        if (Date.now() > giveUp) throw new Error("the sign-up does not wait for the event");
      }
    });
    await signingUp;
    expect(await featuresOf(database, late)).toEqual(["export"]);
  });

  it("a subscription and its product's new features: if neither sees the other, the minute's job does", async () => {
    for (const [first, second] of [
      [() => story.subscription(), () => story.product("sso")],
      [() => story.product("sso"), () => story.subscription()],
    ] as const) {
      story = new Story();
      user = await database.signUp();
      await tell(database, story.product("export"), story.customer(user));
      await overlap(first(), second());
      await database.sql`
        do $$ begin while billing_private.recount_entitlements(now() + interval '1 minute') loop null; end loop; end $$
      `;
      expect(await featuresOf(database, user)).toEqual(["sso"]);
      expect(
        await database.sql`select from billing_private.changed_features where object_id = ${story.id("prod")}`,
      ).toEqual([]);
    }
  });

  it("a user who is deleted and an event of the customer: neither fails, and nothing is left", async () => {
    await tell(database, story.product("export"), story.customer(user), story.subscription());
    const [one, auth] = [database.connect(), database.connect({ role: "supabase_auth_admin" })];
    const [backend] = await auth<{ pid: number }[]>`select pg_backend_pid() as pid`;
    let leaving: Promise<unknown> = Promise.resolve();
    await one.begin(async (sql) => {
      await sql`select billing.receive_event(${sql.json(story.subscription({ status: "past_due" }) as never)})`;
      leaving = auth`delete from auth.users where id = ${user}`.then(() => {});
      const giveUp = Date.now() + 10_000;
      for (;;) {
        const [waiting] =
          await database.sql`select from pg_locks where pid = ${backend?.pid ?? 0} and not granted`;
        if (waiting) break;
        if (Date.now() > giveUp) throw new Error("the deletion does not wait for the event");
      }
    });
    await leaving;
    expect(await featuresOf(database, user)).toEqual([]);
    expect(await versionOf(database, user)).toBe(2);
  });
});
