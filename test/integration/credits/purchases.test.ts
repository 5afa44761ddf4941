import { randomUUID } from "node:crypto";
import { afterAll, beforeAll, describe, expect, it, vi } from "vitest";
import { createTestDatabase, type TestDatabase } from "../../support/database.ts";
import { fixtureInShapeOf } from "../../support/fixtures.ts";
import { API_VERSIONS } from "../../support/old-shapes.ts";
import { deliver, deliverInEveryOrder } from "../../support/orders.ts";
import type { StripeEvent } from "../../support/stripe/events.ts";
import { balanceOf, bought, deduct, entriesOf, grant, NOW, PRICE } from "./bought.ts";

let database: TestDatabase;
beforeAll(async () => {
  database = await createTestDatabase();
});
afterAll(() => database.drop());

/** What the ledger comes to for a purchase, by user and kind, whatever the steps. */
async function standingOf(name: string): Promise<Record<string, number>> {
  const rows = await database.sql<{ user: string; kind: string; credits: number }[]>`
    select owner_id as user, kind, sum(credits)::float8 as credits from billing.credit_entries
    where purchase like ${`%\\_${name}%`} group by 1, 2 having sum(credits) <> 0
  `;
  return Object.fromEntries(rows.map(({ user, kind, credits }) => [`${user} ${kind}`, credits]));
}

const auditOf = (name: string, action: string) =>
  database.sql`select detail from billing.audit_events where subject_id like ${`%\\_${name}%`} and action = ${action}`;

async function expectInEveryOrder(events: (user: string) => StripeEvent[], credits: number): Promise<void> {
  const user = await database.signUp();
  for (const name of await deliverInEveryOrder(database, events(user)))
    expect(await standingOf(name)).toEqual(credits === 0 ? {} : { [`${user} images`]: credits });
}

describe("a one-time purchase", () => {
  it("gives its credits once, whatever becomes known first: checkout, payment, charge, or the customer's owner", () =>
    expectInEveryOrder(
      (user) => [bought.checkout(), bought.intent(), bought.charge(), bought.customer(user)],
      100,
    ));

  it("gives them by the payment's own metadata too, and not twice where the checkout says so as well", async () => {
    const metadata = { credit_kind: "images", credits: "100" };
    await expectInEveryOrder((user) => [bought.intent({ metadata }), bought.customer(user)], 100);
    await expectInEveryOrder(
      (user) => [bought.intent({ metadata }), bought.checkout(), bought.customer(user)],
      100,
    );
  });

  it("gives them when a debit that takes days has come in, and not before", async () => {
    const user = await database.signUp();
    const name = await deliver(database, [
      bought.customer(user),
      bought.checkout({ payment_status: "unpaid" }),
    ]);
    expect(await standingOf(name)).toEqual({});
    await deliver(
      database,
      [bought.checkout({ type: "checkout.session.async_payment_succeeded", at: NOW + 9000 })],
      name,
    );
    expect(await standingOf(name)).toEqual({ [`${user} images`]: 100 });
  });

  it("gives them where nothing had to be paid", () =>
    expectInEveryOrder(
      (user) => [
        bought.checkout({ payment_status: "no_payment_required", payment_intent: null }),
        bought.customer(user),
      ],
      100,
    ));

  it("gives a guest's to the user whom the checkout names, now or once signed up", async () => {
    const user = await database.signUp();
    for (const name of await deliverInEveryOrder(database, [
      bought.checkout({ guest: user }),
      bought.intent({ customer: null }),
    ]))
      expect(await standingOf(name)).toEqual({ [`${user} images`]: 100 });
    const later = randomUUID();
    const name = await deliver(database, [
      bought.checkout({ guest: later.toUpperCase() }),
      bought.intent({ customer: null }),
    ]);
    expect(await standingOf(name)).toEqual({});
    await database.signUp({ id: later });
    expect(await standingOf(name)).toEqual({ [`${later} images`]: 100 });
  });

  it("of a guest whom only a Payment Link's payer names are given to no owner, until settings trust it", async () => {
    const user = await database.signUp();
    const trust = async (how: string) => {
      await database.sql`update billing.settings set trust_client_reference_id = ${how} where id`;
      const later = new Date(Date.now() + 120_000);
      while (
        (await database.sql`select billing_private.run_settings_pass(${later}, 1) as done`)[0]?.done > 0
      );
    };
    const name = await deliver(database, [
      bought.checkout({ guest: user, payment_link: "plink_ExampleCredits" }),
      bought.intent({ customer: null }),
    ]);
    expect(await standingOf(name)).toEqual({});
    await trust("always");
    expect(await standingOf(name)).toEqual({ [`${user} images`]: 100 });
    await trust("without_payment_link");
    expect(await standingOf(name)).toEqual({});
  });

  it("of a guest who signs up at the same time as the checkout is given by the next minute's run", async () => {
    const user = randomUUID();
    const signUp = database.connect({ role: "supabase_auth_admin" });
    const name = await new Promise<string>((resolve, reject) => {
      signUp
        .begin(async (transaction) => {
          await transaction`insert into auth.users (id, email) values (${user}, ${`${user}@example.com`})`;
          resolve(await deliver(database, [bought.checkout({ guest: user })]));
        })
        .catch(reject);
    });
    await signUp.end();
    expect(await standingOf(name)).toEqual({});
    await database.sql`select billing_private.link_waiting_customers(now())`;
    expect(await standingOf(name)).toEqual({ [`${user} images`]: 100 });
  });

  it("gives nothing before it is paid, for a subscription, or where nothing says what is bought", async () => {
    const user = await database.signUp();
    for (const checkout of [
      bought.checkout({ payment_status: "unpaid" }),
      bought.checkout({ mode: "subscription" }),
      bought.checkout({ metadata: {} }),
    ])
      expect(await standingOf(await deliver(database, [bought.customer(user), checkout]))).toEqual({});
  });

  it.each([
    [{ credits: "100" }],
    [{ credit_kind: "images" }],
    [{ credit_kind: " ", credits: "100" }],
    [{ credit_kind: "images", credits: "0" }],
    [{ credit_kind: "images", credits: "-5" }],
    [{ credit_kind: "images", credits: "1e3" }],
    [{ credit_kind: "images", credits: "9999999999999" }],
  ])("gives nothing for %j and leaves an audit fact", async (metadata) => {
    const user = await database.signUp();
    const name = await deliver(database, [
      bought.customer(user),
      bought.checkout({ metadata: metadata as never }),
    ]);
    expect(await standingOf(name)).toEqual({});
    expect(await auditOf(name, "credits.unreadable")).toEqual([{ detail: metadata }]);
    expect(await database.sql`select event_id from billing.failed_webhooks`).toEqual([]);
  });

  it.each(API_VERSIONS)("says the same in the shape of %s", async (version) => {
    const user = await database.signUp();
    const events = [
      bought.customer(user),
      bought.checkout(),
      bought.intent(),
      bought.charge(PRICE / 2, NOW + 9),
    ];
    const old = events.flatMap((event) => fixtureInShapeOf(version, event, []) ?? []);
    expect(await standingOf(await deliver(database, old))).toEqual({ [`${user} images`]: 50 });
  });
});

describe("a refund", () => {
  const refunded = (amount: number) => bought.charge(amount, NOW + 1000);

  it("takes back all of the credits when all of the money went back, in every order", () =>
    expectInEveryOrder(
      (user) => [bought.checkout(), bought.intent(), refunded(PRICE), bought.customer(user)],
      0,
    ));

  it("takes back its share, rounded in the customer's favour, in every order", () =>
    expectInEveryOrder(
      (user) => [bought.checkout(), bought.intent(), refunded(335), bought.customer(user)],
      67,
    ));

  it(
    "after a refund takes back the sum, whichever is heard last",
    () =>
      expectInEveryOrder(
        (user) => [
          bought.customer(user),
          bought.checkout(),
          bought.charge(200, NOW + 500),
          bought.charge(700, NOW + 900),
        ],
        30,
      ),
    30_000,
  );

  it("takes back as far as the balance goes, and says in ledger and audit trail what it could not", async () => {
    const user = await database.signUp();
    const name = await deliver(database, [bought.customer(user), bought.checkout(), bought.intent()]);
    await deduct(database, user, 80, "spent");
    await deliver(database, [refunded(PRICE)], name);
    expect(await entriesOf(database, name)).toEqual([
      { owner_id: user, kind: "images", credits: 100, balance_after: 100, reason: "purchase", missing: 0 },
      { owner_id: user, kind: "images", credits: -20, balance_after: 0, reason: "refund", missing: 80 },
    ]);
    expect(await auditOf(name, "credits.not_taken_back")).toEqual([
      { detail: { owner_id: user, kind: "images", reason: "refund", asked: 100, taken: 20, missing: 80 } },
    ]);
    // What comes later is not held against it.
    expect(await grant(database, user, 50, "later")).toBe(50);
    await deliver(database, [refunded(PRICE)], name);
    expect(await balanceOf(database, user)).toBe(50);
  });

  it("that takes back nothing says so as well", async () => {
    const user = await database.signUp();
    const name = await deliver(database, [bought.customer(user), bought.checkout(), bought.intent()]);
    await deduct(database, user, 100, "spent");
    await deliver(database, [refunded(PRICE)], name);
    expect((await entriesOf(database, name))[1]).toMatchObject({
      credits: 0,
      reason: "refund",
      missing: 100,
    });
  });

  it("that fails gives again what it took, and no more", async () => {
    const user = await database.signUp();
    const name = await deliver(database, [bought.customer(user), bought.checkout(), bought.intent()]);
    await deduct(database, user, 80, "spent");
    await deliver(database, [refunded(PRICE)], name);
    expect(await balanceOf(database, user)).toBe(0);
    await deliver(database, [bought.charge(0, NOW + 2000)], name);
    expect(await balanceOf(database, user)).toBe(20);
  });
});

describe("a customer who is linked to another user", () => {
  it("takes the credits along, in every order", async () => {
    const [ada, bob] = [await database.signUp(), await database.signUp()];
    for (const name of await deliverInEveryOrder(database, [
      bought.customer(ada),
      bought.checkout(),
      bought.intent(),
      bought.customer(bob, NOW + 50),
    ]))
      expect(await standingOf(name)).toEqual({ [`${bob} images`]: 100 });
  });

  it("takes along what is left, and nothing that was never bought", async () => {
    const [ada, bob] = [await database.signUp(), await database.signUp()];
    const name = await deliver(database, [bought.customer(ada), bought.checkout(), bought.intent()]);
    await deduct(database, ada, 70, "spent");
    await deliver(database, [bought.customer(bob, NOW + 50)], name);
    expect([await balanceOf(database, ada), await balanceOf(database, bob)]).toEqual([0, 30]);
    expect(await auditOf(name, "credits.not_taken_back")).toMatchObject([{ detail: { missing: 70 } }]);
    // A refund asks back what stands of the purchase, not what bob has otherwise.
    await grant(database, bob, 500, "gift");
    await deliver(database, [bought.charge(PRICE, NOW + 1000)], name);
    expect(await balanceOf(database, bob)).toBe(500);
  });
});

describe("a user who is deleted", () => {
  it("leaves the credits of the customer to the next user named for it, less what was spent", async () => {
    const [ada, bob] = [await database.signUp(), await database.signUp()];
    const name = await deliver(database, [bought.customer(ada), bought.checkout(), bought.intent()]);
    await deduct(database, ada, 70, "spent");
    await database.connect({ role: "supabase_auth_admin" })`delete from auth.users where id = ${ada}`;
    await deliver(database, [bought.charge(PRICE / 10, NOW + 10)], name);
    expect(await standingOf(name)).toEqual({ "null images": 70 });
    await deliver(database, [bought.customer(bob, NOW + 50)], name);
    // 30 were left, of which the refund asks 10 back.
    expect(await balanceOf(database, bob)).toBe(20);
    expect(await database.sql`select event_id from billing.failed_webhooks`).toEqual([]);
  });
});

describe("at once", () => {
  it("a refund that arrives while its buyer signs up waits, and is not missed", async () => {
    const user = randomUUID();
    const name = await deliver(database, [
      bought.checkout({ guest: user }),
      bought.intent({ customer: null }),
    ]);
    const signUp = database.connect({ role: "supabase_auth_admin" });
    const waiting = async () =>
      (
        await database.sql`
        select from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock' and query like '%receive_event%'
      `
      ).length > 0;
    let refund: Promise<unknown> | undefined;
    await signUp.begin(async (transaction) => {
      await transaction`insert into auth.users (id, email) values (${user}, ${`${user}@example.com`})`;
      refund = deliver(database, [bought.charge(PRICE, NOW + 1000, null)], name);
      await vi.waitUntil(waiting, { timeout: 2500, interval: 20 });
    });
    await refund;
    await signUp.end();
    expect(await standingOf(name)).toEqual({});
    expect((await entriesOf(database, name)).map(({ reason, credits }) => [reason, credits])).toEqual([
      ["purchase", 100],
      ["refund", -100],
    ]);
  });

  it("the events of many purchases of one user, eight at a time, come to the sum", async () => {
    const user = await database.signUp();
    const connections = Array.from({ length: 8 }, () => database.connect());
    const names = Array.from({ length: 12 }, (_, index) => `Pl${String(index).padStart(6, "0")}`);
    const events = names.flatMap((name, index) =>
      [
        bought.customer(user),
        bought.checkout(),
        bought.intent(),
        bought.charge(index % 3 === 0 ? PRICE : 0, NOW + 9),
      ].map((event) => JSON.stringify(event).replaceAll("_Example", `_${name}`)),
    );
    const queues = connections.map((sql, lane) => async () => {
      for (let next = lane; next < events.length; next += connections.length)
        await sql`select billing.receive_event(${events[next] ?? ""}::text::jsonb)`;
    });
    await Promise.all(queues.map((run) => run()));
    await Promise.all(connections.map((sql) => sql.end()));
    expect(await database.sql`select event_id, error from billing.failed_webhooks`).toEqual([]);
    expect(await balanceOf(database, user)).toBe(800);
  });
});
