import { randomUUID } from "node:crypto";
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import type { CheckoutSession } from "../../../scripts/local/stripe/core/wire.ts";
import { createTestDatabase, type TestDatabase } from "../../support/database.ts";
import { deliver, deliverInEveryOrder, readsOwed, told } from "../../support/orders.ts";
import { checkoutSession, customer } from "../../support/stripe/customers.ts";
import type { StripeEvent } from "../../support/stripe/events.ts";
import { subscription } from "../../support/stripe/subscriptions.ts";
import { untilSomebodyWaits } from "../retries/handlers.ts";

const NOW = 1_790_000_000;

let database: TestDatabase;
beforeAll(async () => {
  database = await createTestDatabase();
});
afterAll(() => database.drop());

const ada = (metadata: Record<string, string> = {}, email: string | null = null) =>
  customer({ id: "cus_ExampleAda", created: NOW, metadata, email });
const said = {
  byCustomer: (user: string, at = NOW) => told("customer.updated", at, ada({ owner_id: user }), ada()),
  bySubscription: (user: string, at = NOW) =>
    told(
      "customer.subscription.created",
      at,
      subscription({
        id: "sub_ExampleTeam",
        created: NOW,
        customer: "cus_ExampleAda",
        items: [],
        metadata: { owner_id: user },
      }),
    ),
  byCheckout: (values: Partial<CheckoutSession>, at = NOW) =>
    told(
      "checkout.session.completed",
      at,
      checkoutSession({ id: "cs_test_ExampleTeam", created: NOW, customer: "cus_ExampleAda", ...values }),
    ),
};

const userOf = async (name: string, where = database) =>
  (await where.sql`select owner_id from billing.customers where id = ${`cus_${name}Ada`}`)[0]?.owner_id ??
  null;
const leave = async (user: string, where = database) =>
  await where.connect({ role: "supabase_auth_admin" })`delete from auth.users where id = ${user}`;
const auditOf = async (name: string, action: string) =>
  await database.sql`
    select actor, detail from billing.audit_events where customer_id = ${`cus_${name}Ada`} and action = ${action}
  `;

describe("a customer's user", () => {
  const sources: [string, (user: string) => StripeEvent][] = [
    ["the checkout's metadata.user_id", (user) => said.byCheckout({ metadata: { user_id: user } })],
    ["the checkout's metadata.owner_id", (user) => said.byCheckout({ metadata: { owner_id: user } })],
    [
      "a Payment Link's own metadata",
      (user) => said.byCheckout({ payment_link: "plink_Example", metadata: { owner_id: user } }),
    ],
    [
      "the client_reference_id of a checkout without a Payment Link",
      (user) => said.byCheckout({ client_reference_id: user }),
    ],
    ["the customer's metadata.owner_id", (user) => said.byCustomer(user)],
    ["the subscription's metadata.owner_id", (user) => said.bySubscription(user)],
  ];

  it.each(sources)("is named by %s, also in capitals", async (_source, say) => {
    const user = await database.signUp();
    expect(await userOf(await deliver(database, [say(user)]))).toBe(user);
    expect(await userOf(await deliver(database, [say(` ${user.toUpperCase()} `)]))).toBe(user);
  });

  it.each(sources)("named by %s before signing up is linked at sign-up", async (_source, say) => {
    const user = randomUUID();
    const name = await deliver(database, [told("customer.created", NOW - 60, ada()), say(user)]);
    expect(await userOf(name)).toBeNull();
    await database.signUp({ id: user });
    expect(await userOf(name)).toBe(user);
    expect(await auditOf(name, "customer.linked")).toEqual([{ actor: "system", detail: { owner_id: user } }]);
  });

  it("is known before the customer is: the link waits for the customer's own event", async () => {
    const user = await database.signUp();
    const name = await deliver(database, [said.byCheckout({ client_reference_id: user })]);
    expect(await userOf(name)).toBe(user);
    await deliver(database, [told("customer.created", NOW, ada({}, "ada@example.com"))], name);
    const [row] =
      await database.sql`select owner_id, email from billing.customers where id = ${`cus_${name}Ada`}`;
    expect(row).toEqual({ owner_id: user, email: "ada@example.com" });
  });

  it("is by metadata the checkout's rather than the customer's or the subscription's, and no reference counts beside it", async () => {
    const [first, second, third, fourth] = [
      await database.signUp(),
      await database.signUp(),
      await database.signUp(),
      await database.signUp(),
    ];
    const [checkout, own, plan, reference] = [
      said.byCheckout({ client_reference_id: second, metadata: { owner_id: first } }),
      said.byCustomer(second, NOW + 60),
      said.bySubscription(third, NOW + 120),
      said.byCheckout({ client_reference_id: fourth }, NOW + 180),
    ];
    for (const name of await deliverInEveryOrder(database, [checkout, own, plan]))
      expect(await userOf(name)).toBe(first);
    for (const name of await deliverInEveryOrder(database, [own, plan, reference]))
      expect(await userOf(name)).toBe(second);
    for (const name of await deliverInEveryOrder(database, [plan, reference]))
      expect(await userOf(name)).toBe(third);
  });

  it("is the newest word of a source, whichever comes last", async () => {
    const [old, current] = [await database.signUp(), await database.signUp()];
    for (const name of await deliverInEveryOrder(database, [
      said.byCustomer(old),
      said.byCustomer(current, NOW + 1),
    ]))
      expect(await userOf(name)).toBe(current);
  });

  it("is the word that came last within a second, as far as the events tell", async () => {
    const [old, current] = [await database.signUp(), await database.signUp()];
    const first = told("customer.created", NOW, ada({ owner_id: old }));
    const second = told("customer.updated", NOW, ada({ owner_id: current }), ada({ owner_id: old }));
    // Ids say nothing: each order once with the later event having the greater one, once the smaller.
    for (const [one, two] of [
      [first, second],
      [
        { ...first, id: "evt_ExampleZZ" },
        { ...second, id: "evt_ExampleAA" },
      ],
    ] as const)
      for (const name of await deliverInEveryOrder(database, [one, two])) {
        expect(await userOf(name)).toBe(current);
        expect(await readsOwed(database, `cus_${name}Ada`)).toEqual([]);
      }
  });

  it("is asked of Stripe where a second's events do not tell, and is what Stripe answers", async () => {
    const [one, two] = [await database.signUp(), await database.signUp()];
    const events = [said.byCustomer(one), said.byCustomer(two)];
    for (const name of await deliverInEveryOrder(database, events)) {
      const [, chosen] = events.map(({ id }) => id).sort();
      expect(await userOf(name)).toBe(chosen === events[1]?.id ? two : one);
      const id = `cus_${name}Ada`;
      expect(await readsOwed(database, id)).toEqual([
        { key: `refresh:${id}:${NOW}`, payload: { object: "customer", id } },
      ]);
      for (const [later, answer] of [two, one].entries()) {
        await database.sql`
          select billing.apply_refresh(${database.sql.json({ ...ada({ owner_id: answer }), id } as never)}, to_timestamp(${NOW + 60 + later}))
        `;
        expect(await userOf(name)).toBe(answer);
      }
      // A third event of that second: the answer may have been given before it happened.
      await deliver(database, [{ ...said.byCustomer(one), id: "evt_ExampleLate" }], name);
      expect(await readsOwed(database, id)).toHaveLength(2);
    }
  });

  it("is not changed by reading a subscription anew when another one has said so since", async () => {
    const [old, current] = [await database.signUp(), await database.signUp()];
    const other = (user: string, at: number) =>
      told("customer.subscription.created", at, {
        ...subscription({ id: "sub_ExampleOther", created: at, customer: "cus_ExampleAda", items: [] }),
        metadata: { owner_id: user },
      });
    const name = await deliver(database, [said.bySubscription(old), other(current, NOW + 60)]);
    const read = said.bySubscription(old).data.object;
    await database.sql`
      select billing.apply_refresh(
        ${database.sql.json({ ...read, id: `sub_${name}Team`, customer: `cus_${name}Ada` } as never)}, to_timestamp(${NOW + 120})
      )
    `;
    expect(await userOf(name)).toBe(current);
  });

  it("who is deleted takes nothing along: the rows stay, unlinked and on record, and come back with the user", async () => {
    const user = await database.signUp();
    const name = await deliver(database, [
      said.byCustomer(user),
      told(
        "customer.subscription.created",
        NOW,
        subscription({ id: "sub_ExampleTeam", created: NOW, customer: "cus_ExampleAda", items: [] }),
      ),
    ]);
    await leave(user);
    expect(await userOf(name)).toBeNull();
    expect(await auditOf(name, "customer.unlinked")).toEqual([
      { actor: "system", detail: { owner_id: null, former_owner_id: user, reason: "user_deleted" } },
    ]);
    expect(
      await database.sql`select status from billing.subscriptions where id = ${`sub_${name}Team`}`,
    ).toEqual([{ status: "active" }]);
    await deliver(database, [said.byCustomer(user, NOW + 60)], name);
    expect(await userOf(name)).toBeNull();
    await database.signUp({ id: user });
    expect(await userOf(name)).toBe(user);
  });

  it("who is deleted while an event of the customer waits for the account is on record all the same", async () => {
    const user = await database.signUp();
    const name = await deliver(database, [said.byCustomer(user)]);
    const [event, account] = [
      database.connect({ role: "supabase_admin" }),
      database.connect({ role: "supabase_admin" }),
    ];
    // Of the two that wait for each other, the deletion finds out, and loses its turns; where the event begins to wait
    // only after the deletion has looked, the deletion's own lock_timeout (2 s) ends its wait all the same.
    await account`set deadlock_timeout = '1s'`;
    await event.unsafe(
      `begin; set local deadlock_timeout = '60s'; select pg_advisory_xact_lock(hashtextextended('cus_${name}Ada', 7305)); set local lock_timeout = '5s'`,
    );
    const deleted = account`delete from auth.users where id = ${user}`.execute();
    await untilSomebodyWaits(database);
    await event`select from auth.users where id = ${user} for key share`;
    await event`commit`;
    await deleted;
    expect(await userOf(name)).toBeNull();
    expect(await auditOf(name, "customer.unlinked")).toEqual([
      { actor: "system", detail: { owner_id: null, former_owner_id: user, reason: "user_deleted" } },
    ]);
  });

  it("who is deleted makes room for the next one who is named", async () => {
    const [first, second] = [await database.signUp(), await database.signUp()];
    const name = await deliver(database, [
      said.byCheckout({ metadata: { owner_id: first } }),
      said.byCustomer(second),
    ]);
    expect(await userOf(name)).toBe(first);
    await leave(first);
    expect(await userOf(name)).toBe(second);
  });

  it("keeps a customer that is deleted at Stripe", async () => {
    const user = await database.signUp();
    for (const name of await deliverInEveryOrder(database, [
      said.byCustomer(user),
      told("customer.deleted", NOW + 60, ada({ owner_id: user })),
    ])) {
      const [row] =
        await database.sql`select owner_id, deleted_at from billing.customers where id = ${`cus_${name}Ada`}`;
      expect(row).toEqual({ owner_id: user, deleted_at: new Date((NOW + 60) * 1000) });
    }
  });

  it("who does not exist is an audit fact and no error, and the next source is believed", async () => {
    const user = await database.signUp();
    const name = await deliver(database, [
      said.byCheckout({ client_reference_id: "team-42" }),
      said.byCustomer(randomUUID()),
      said.bySubscription(user),
    ]);
    expect(await userOf(name)).toBe(user);
    const unknown = await auditOf(name, "customer.owner_unknown");
    expect(unknown.map(({ detail }) => detail.source).sort()).toEqual(["client_reference", "customer"]);
    expect(await database.sql`select event_id from billing.failed_webhooks`).toEqual([]);
  });

  it("may have several customers, each of them linked at sign-up", async () => {
    const user = randomUUID();
    const names = [
      await deliver(database, [said.byCustomer(user)]),
      await deliver(database, [said.byCustomer(user)]),
    ];
    await database.signUp({ id: user });
    for (const name of names) expect(await userOf(name)).toBe(user);
  });

  it("an owner who signs up at the same moment as the hint is linked by the next minute's run", async () => {
    const user = randomUUID();
    const [signUp] = [database.connect({ role: "supabase_auth_admin" })];
    const name = await new Promise<string>((resolve, reject) => {
      signUp
        .begin(async (transaction) => {
          await transaction`insert into auth.users (id, email) values (${user}, ${`${user}@example.com`})`;
          // The hint is recorded while the sign-up is not committed: neither sees the other.
          resolve(await deliver(database, [said.byCustomer(user)]));
        })
        .catch(reject);
    });
    await signUp.end();
    expect(await userOf(name)).toBeNull();
    await database.sql`select billing_private.link_waiting_customers(now())`;
    expect(await userOf(name)).toBe(user);
  });
});

describe("what a payer writes into the address of a Payment Link", () => {
  const hint = (user: string, at = NOW) =>
    said.byCheckout({ client_reference_id: user, payment_link: "plink_Example" }, at);
  const hintsOf = (name: string) =>
    database.asService(
      (sql) => sql`
      select hinted_owner, payment_link, owner_id from billing.owner_hints where customer = ${`cus_${name}Ada`}
    `,
    );
  const trust = async (how: string) => {
    await database.sql`update billing.settings set trust_client_reference_id = ${how} where id`;
    const later = new Date(Date.now() + 120_000);
    while ((await database.sql`select billing_private.run_settings_pass(${later}, 1) as done`)[0]?.done > 0);
  };
  afterEach(() => trust("without_payment_link"));

  it("links no customer, whichever came first, and is shown to the operator", async () => {
    const victim = await database.signUp();
    for (const name of await deliverInEveryOrder(database, [
      hint(victim),
      told("customer.created", NOW, ada()),
    ])) {
      expect(await userOf(name)).toBeNull();
      expect(await hintsOf(name)).toEqual([
        { hinted_owner: victim, payment_link: expect.stringMatching(/^plink_/), owner_id: null },
      ]);
      const [fact] = await auditOf(name, "customer.hint_not_trusted");
      expect(fact?.detail).toEqual({ source: "payment_link", hinted_owner: victim });
    }
    const early = randomUUID();
    const name = await deliver(database, [hint(early)]);
    await database.signUp({ id: early });
    await database.sql`select billing_private.link_waiting_customers(now())`;
    expect(await userOf(name)).toBeNull();
  });

  it("takes no customer away from whom an application's session named, and takes no name's place", async () => {
    const [owner, victim] = [await database.signUp(), await database.signUp()];
    const own = said.byCheckout({ client_reference_id: owner });
    const other = { ...hint(victim, NOW + 60).data.object, id: "cs_test_ExampleLink" };
    for (const name of await deliverInEveryOrder(database, [
      own,
      told("checkout.session.completed", NOW + 60, other as CheckoutSession),
    ]))
      expect(await userOf(name)).toBe(owner);
  });

  it("is believed where settings say always, of what is there too, and no longer when they do not", async () => {
    const user = await database.signUp();
    const name = await deliver(database, [hint(user)]);
    await trust("always");
    expect(await userOf(name)).toBe(user);
    expect(await hintsOf(name)).toEqual([]);
    expect(await userOf(await deliver(database, [hint(user)]))).toBe(user);
    await trust("without_payment_link");
    expect(await userOf(name)).toBeNull();
  });

  it("no reference is believed where settings say never, as a project with a pricing table has it", async () => {
    const user = await database.signUp();
    const name = await deliver(database, [said.byCheckout({ client_reference_id: user })]);
    expect(await userOf(name)).toBe(user);
    await trust("never");
    expect(await userOf(name)).toBeNull();
    const [row] = await hintsOf(name);
    expect(row).toEqual({ hinted_owner: user, payment_link: null, owner_id: null });
    expect(
      await userOf(await deliver(database, [said.byCheckout({ client_reference_id: user })])),
    ).toBeNull();
    expect(await userOf(await deliver(database, [said.byCheckout({ metadata: { owner_id: user } })]))).toBe(
      user,
    );
  });
});

describe("a user's email address", () => {
  const nextEmail = () => `${randomUUID()}@example.com`;

  it("links no customer as long as settings do not say so", async () => {
    const email = nextEmail();
    await database.signUp({ email });
    expect(await userOf(await deliver(database, [told("customer.created", NOW, ada({}, email))]))).toBeNull();
  });

  describe("where settings allow it", () => {
    let linking: TestDatabase;
    beforeAll(async () => {
      linking = await createTestDatabase();
      await linking.sql`update billing.settings set link_customers_by_email = true where id`;
    });
    afterAll(() => linking.drop());
    const customerWith = (email: string) => deliver(linking, [told("customer.created", NOW, ada({}, email))]);

    it("links a customer, whichever came first and in whatever capitals", async () => {
      const email = nextEmail();
      const user = await linking.signUp({ email });
      expect(await userOf(await customerWith(email.toUpperCase()), linking)).toBe(user);
      const later = nextEmail();
      const name = await customerWith(later);
      const late = await linking.signUp({ email: later });
      expect(await userOf(name, linking)).toBe(late);
    });

    it("links no customer before it is confirmed, and does when it is", async () => {
      const email = nextEmail();
      const user = await linking.signUp({ email, confirmed: false });
      const name = await customerWith(email);
      expect(await userOf(name, linking)).toBeNull();
      await linking.connect({ role: "supabase_auth_admin" })`
        update auth.users set email_confirmed_at = now() where id = ${user}
      `;
      expect(await userOf(name, linking)).toBe(user);
    });

    it("confirmed at the same time as the event is seen by the next minute's run", async () => {
      const email = nextEmail();
      const user = randomUUID();
      const signUp = linking.connect({ role: "supabase_auth_admin" });
      const name = await new Promise<string>((resolve, reject) => {
        signUp
          .begin(async (transaction) => {
            await transaction`insert into auth.users (id, email, email_confirmed_at) values (${user}, ${email}, now())`;
            // Neither transaction sees what the other has not committed.
            resolve(await deliver(linking, [told("customer.created", NOW, ada({}, email.toUpperCase()))]));
          })
          .catch(reject);
      });
      await signUp.end();
      expect(await userOf(name, linking)).toBeNull();
      expect(await linking.sql`select billing_private.link_waiting_customers(now()) as linked`).toEqual([
        { linked: 1 },
      ]);
      expect(await userOf(name, linking)).toBe(user);
      expect(await linking.sql`select billing_private.link_waiting_customers(now()) as linked`).toEqual([
        { linked: 0 },
      ]);
    });

    it("no longer links after its user has left, and links the one who signs up with it anew", async () => {
      const email = nextEmail();
      const user = await linking.signUp({ email });
      const name = await customerWith(email);
      await leave(user, linking);
      expect(await userOf(name, linking)).toBeNull();
      const again = await linking.signUp({ email });
      expect(await userOf(name, linking)).toBe(again);
    });

    it("counts for less than what anybody said by id", async () => {
      const email = nextEmail();
      await linking.signUp({ email });
      const named = await linking.signUp();
      const name = await deliver(linking, [told("customer.created", NOW, ada({ owner_id: named }, email))]);
      expect(await userOf(name, linking)).toBe(named);
    });

    it("no longer links a customer whose address became another one", async () => {
      const email = nextEmail();
      const user = await linking.signUp({ email });
      const name = await customerWith(email);
      expect(await userOf(name, linking)).toBe(user);
      const moved = told("customer.updated", NOW + 1, ada({}, nextEmail()), ada({}, email));
      await deliver(linking, [moved], name);
      expect(await userOf(name, linking)).toBeNull();
    });
  });
});
