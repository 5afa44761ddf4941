import { randomUUID } from "node:crypto";
import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { type Buyer, Shop } from "./shop.ts";

let shop: Shop;
let buyer: Buyer;
let monthly: string;
let yearly: string;
let once: string;
let bigger: string;

beforeAll(async () => {
  shop = await Shop.open();
  const prices = await shop.prices(
    { recurring: { interval: "month" } },
    { recurring: { interval: "year" } },
    {},
    { unit_amount: 9000 },
  );
  [monthly = "", yearly = "", once = "", bigger = ""] = prices;
});
beforeEach(async () => {
  buyer = await shop.signUp();
});
afterAll(() => shop.close());

const isPage = (answer: string) => answer.startsWith("http");

describe("in a second tab", () => {
  it("the same gets the same page, also under another key of the caller's", async () => {
    const first = await shop.tab(buyer, { price: monthly });
    expect(isPage(first)).toBe(true);
    expect(await shop.tab(buyer, { price: monthly })).toBe(first);
    expect(await shop.tab(buyer, { price: monthly, idempotency_key: "second-tab" })).toBe(first);
    expect(await shop.sessionsOf(buyer)).toEqual({ open: 1 });
  });

  it("another price, quantity or way back gets a page of its own, and the first can no longer be paid", async () => {
    const first = await shop.tab(buyer, { price: monthly });
    for (const change of [
      { price: yearly },
      { price: yearly, quantity: 2 },
      { price: yearly, cancel_url: "/other" },
    ]) {
      const next = await shop.tab(buyer, change);
      expect(isPage(next)).toBe(true);
      expect(next).not.toBe(first);
      expect((await shop.sessionsOf(buyer)).open).toBe(1);
    }
    await expect(shop.pay(first, buyer)).rejects.toThrow();
  });

  it("nothing more is sold once the first was paid, before any webhook says so", async () => {
    const first = await shop.tab(buyer, { price: monthly });
    await shop.pay(first, buyer);
    // The first call finds out at Stripe; the second one has to know.
    for (const price of [monthly, monthly, yearly])
      expect(await shop.tab(buyer, { price })).toBe("already_subscribed");
    const other = await shop.signUp();
    await shop.pay(await shop.tab(other, { price: monthly }), other);
    expect(await shop.tab(other, { price: yearly })).toBe("already_subscribed");
    await shop.hear();
    expect(await shop.tab(buyer, { price: yearly })).toBe("already_subscribed");
    expect(isPage(await shop.tab(buyer, { price: yearly, another: true }))).toBe(true);
  });

  it("a page that expired is not answered again", async () => {
    const first = await shop.tab(buyer, { price: monthly });
    await shop.stripe.checkout.sessions.expire(first.split("/").at(-1) ?? "");
    const second = await shop.tab(buyer, { price: monthly });
    expect(isPage(second) && second !== first).toBe(true);
    await shop.stripe.checkout.sessions.expire(second.split("/").at(-1) ?? "");
    await shop.hear();
    const third = await shop.tab(buyer, { price: monthly });
    expect(isPage(third) && third !== second).toBe(true);
  });

  it("nor one that ends within minutes", async () => {
    const first = await shop.tab(buyer, { price: monthly });
    await shop.database.sql`
      update billing_private.checkout_attempts set expires_at = now() + interval '5 minutes' where owner_id = ${buyer.id}
    `;
    expect(await shop.tab(buyer, { price: monthly })).not.toBe(first);
    expect(await shop.sessionsOf(buyer)).toEqual({ open: 1, expired: 1 });
  });
});

describe("between the payment and its events", () => {
  it("nothing is sold until the subscription has ended, or has become another product's", async () => {
    const session = await shop.pay(await shop.tab(buyer, { price: monthly }), buyer);
    expect(await shop.tab(buyer, { price: monthly })).toBe("already_subscribed");
    const { sql } = shop.database;
    const { product } = await shop.stripe.prices.retrieve(monthly);
    const begin = async (days = 0) => {
      const [row] = await sql`
        select billing.begin_checkout(
          ${buyer.id}, ${buyer.id}, ${`subscription:${product}`}, '{}', '{}', null, now() + ${days} * interval '1 day'
        ) ->> 'outcome' as outcome
      `;
      await sql`
        delete from billing_private.checkout_attempts where owner_id = ${buyer.id} and status = 'making'
      `;
      return row?.outcome;
    };
    expect(await begin()).toBe("subscribed");
    // Its events may never come; the session is over by itself.
    expect(await begin(2)).toBe("make");
    await shop.hear();
    expect([await begin(), await begin(2)]).toEqual(["subscribed", "subscribed"]);

    const subscription = await shop.stripe.subscriptions.retrieve(String(session.subscription));
    const change = async (price: string) => {
      const items = [{ id: String(subscription.items.data[0]?.id), price }];
      await shop.stripe.subscriptions.update(subscription.id, { items });
      await shop.hear();
    };
    const [elsewhere = ""] = await shop.prices({ recurring: { interval: "month" } });
    await change(elsewhere);
    expect(await begin()).toBe("make");
    await change(yearly);
    expect(await begin()).toBe("subscribed");
    await shop.stripe.subscriptions.cancel(subscription.id);
    await shop.hear();
    expect(await begin()).toBe("make");
  });

  it("another one is sold to who asks for it", async () => {
    await shop.pay(await shop.tab(buyer, { price: monthly }), buyer);
    expect(await shop.tab(buyer, { price: monthly })).toBe("already_subscribed");
    expect(isPage(await shop.tab(buyer, { price: monthly, another: true }))).toBe(true);
  });
});

describe("two tabs at the same moment", () => {
  it("with the same wish get one page", async () => {
    const answers = await Promise.all(Array.from({ length: 6 }, () => shop.tab(buyer, { price: monthly })));
    expect(new Set(answers).size).toBe(1);
    expect(isPage(answers[0] ?? "")).toBe(true);
    expect(await shop.sessionsOf(buyer)).toEqual({ open: 1 });
  });

  it("with different wishes leave one session that can be paid, at the most", async () => {
    for (let round = 0; round < 4; round++) {
      const person = await shop.signUp();
      const answers = await Promise.all([
        shop.tab(person, { price: monthly }),
        shop.tab(person, { price: yearly }),
        shop.tab(person, { price: monthly, quantity: 3 }),
      ]);
      expect((await shop.sessionsOf(person)).open ?? 0, answers.join(" ")).toBeLessThanOrEqual(1);
      expect(isPage(await shop.tab(person, { price: monthly }))).toBe(true);
      expect((await shop.sessionsOf(person)).open).toBe(1);
    }
  });
});

describe("two managers of a team", () => {
  let ada: Buyer;
  let bob: Buyer;
  beforeEach(async () => {
    const team = randomUUID();
    ada = { ...(await shop.signUp()), team };
    bob = { ...(await shop.signUp()), team };
  });

  it("have one session between them that can be paid, in the name of whoever came last", async () => {
    const first = await shop.tab(ada, { price: monthly });
    const second = await shop.tab(bob, { price: monthly });
    expect(isPage(second) && second !== first).toBe(true);
    expect(await shop.sessionsOf(ada)).toEqual({ open: 1, expired: 1 });
    await expect(shop.pay(first, ada)).rejects.toThrow();
    const { data } = await shop.stripe.checkout.sessions.list({ limit: 1 });
    expect(data[0]).toMatchObject({ customer_email: bob.email, metadata: { owner_id: ada.team } });
  });

  it("buy one subscription, however they press at the same moment", async () => {
    for (let round = 0; round < 4; round++) {
      const team = randomUUID();
      const people = [
        { ...ada, team },
        { ...bob, team },
      ] as const;
      const pages = await Promise.all([
        shop.tab(people[0], { price: monthly }),
        shop.tab(people[1], { price: monthly }),
        shop.tab(people[1], { price: yearly }),
      ]);
      expect((await shop.sessionsOf(people[0])).open ?? 0, pages.join(" ")).toBeLessThanOrEqual(1);
      const again = await shop.tab(people[0], { price: monthly });
      const payable = new Set([...pages, again].filter(isPage));
      await Promise.allSettled([...payable].map((page) => shop.pay(page, people[0])));
      expect((await shop.sessionsOf(people[0])).complete).toBe(1);
      for (const person of people)
        expect(await shop.tab(person, { price: yearly })).toBe("already_subscribed");
    }
  });

  it("share their keys, and what each buys alone stays their own", async () => {
    const key = { price: once, idempotency_key: "team-order" };
    const first = await shop.tab(ada, key);
    await shop.pay(first, ada);
    await shop.hear();
    expect(await shop.tab(bob, key)).toBe(first);
    const { team: _team, ...alone } = bob;
    const own = await shop.tab(alone, key);
    expect(isPage(own) && own !== first).toBe(true);
    expect(await shop.sessionsOf(alone)).toEqual({ open: 1 });
  });

  it("keep what one of them began when that one is deleted and forgotten, without the address", async () => {
    const { sql } = shop.database;
    const page = await shop.tab(ada, { price: monthly });
    const { team: _team, ...alone } = ada;
    await shop.tab(alone, { price: yearly });
    const attempts = () => sql`
      select owner_id, url, request ->> 'customer_email' as email, wish ->> 'price' as price
      from billing_private.checkout_attempts where owner_id in (${ada.team ?? ""}, ${ada.id})
    `;
    expect(await attempts()).toHaveLength(2);
    await sql`select billing.forget_user(${ada.id})`;
    expect(await attempts()).toEqual(
      expect.arrayContaining([
        { owner_id: ada.team, url: page, email: null, price: monthly },
        { owner_id: ada.id, url: "", email: null, price: null },
      ]),
    );
    await sql`delete from auth.users where id = ${ada.id}`;
    expect(await attempts()).toMatchObject([{ owner_id: ada.team }]);
    expect(isPage(await shop.tab(bob, { price: monthly }))).toBe(true);
    await expect(shop.pay(page, bob)).rejects.toThrow();
  });

  it("lose the address with the account of the one who began, who can be forgotten after that as well", async () => {
    const { sql } = shop.database;
    await shop.tab(ada, { price: monthly });
    const begun = () => sql`
      select user_id, request ->> 'customer_email' as email from billing_private.checkout_attempts where owner_id = ${ada.team ?? ""}
    `;
    expect(await begun()).toEqual([{ user_id: ada.id, email: ada.email }]);
    await sql`delete from auth.users where id = ${ada.id}`;
    expect(await begun()).toEqual([{ user_id: null, email: null }]);
    await sql`select billing.forget_user(${ada.id})`;
    expect(await begun()).toEqual([{ user_id: null, email: null }]);
  });
});

describe("a function that dies between Stripe's answer and its own record", () => {
  const dies = (path: string) => path === "/v1/checkout/sessions";

  it("leaves a session that the next call finds", async () => {
    expect(await shop.tab(buyer, { price: monthly }, dies)).toBe("stripe_unavailable");
    expect(isPage(await shop.tab(buyer, { price: monthly }))).toBe(true);
    expect(await shop.sessionsOf(buyer)).toEqual({ open: 1 });
  });

  it("leaves a session that is found and expired when something else is wanted", async () => {
    expect(await shop.tab(buyer, { price: monthly }, dies)).toBe("stripe_unavailable");
    expect(isPage(await shop.tab(buyer, { price: yearly }))).toBe(true);
    expect(await shop.sessionsOf(buyer)).toEqual({ open: 1, expired: 1 });
  });

  it("leaves a session whose payment is noticed", async () => {
    expect(await shop.tab(buyer, { price: monthly }, dies)).toBe("stripe_unavailable");
    const { data } = await shop.stripe.checkout.sessions.list({ limit: 1 });
    await shop.pay(String(data[0]?.url), buyer);
    expect(await shop.tab(buyer, { price: monthly })).toBe("already_subscribed");
  });
});

describe("a one-time price", () => {
  it("has one page for the same purchase, and another is another purchase", async () => {
    const first = await shop.tab(buyer, { price: once });
    expect(await shop.tab(buyer, { price: once })).toBe(first);
    const other = await shop.tab(buyer, { price: bigger });
    expect(other).not.toBe(first);
    expect(await shop.sessionsOf(buyer)).toEqual({ open: 2 });
  });

  it("can be bought again, but not under the key it was bought under", async () => {
    const key = { price: once, idempotency_key: "order-1" };
    const first = await shop.tab(buyer, key);
    const second = { ...key, quantity: 1, mode: "payment", idempotency_key: "order-1b" };
    expect(await shop.tab(buyer, second)).toBe(first);
    await shop.pay(first, buyer);
    expect(await shop.tab(buyer, { price: once })).not.toBe(first);
    await shop.hear();
    expect(await shop.tab(buyer, key)).toBe(first);
    expect(await shop.tab(buyer, second)).toBe(first);
    expect(await shop.tab(buyer, { ...key, quantity: 2 })).toBe("idempotency_conflict");
  });
});

describe("a caller's key", () => {
  it("is each user's own: nobody gets another's page or learns that there is one", async () => {
    const key = { price: monthly, idempotency_key: "shared-name" };
    const mine = await shop.tab(buyer, key);
    const stranger = await shop.signUp();
    const theirs = await shop.tab(stranger, key);
    expect(isPage(theirs)).toBe(true);
    expect(theirs).not.toBe(mine);
    expect(isPage(await shop.tab(await shop.signUp(), { ...key, price: yearly }))).toBe(true);
    const keys = await shop.database.sql`
      select count(distinct id)::integer as attempts from billing_private.checkout_attempts
      where 'shared-name' = any (idempotency_keys)
    `;
    expect(keys).toEqual([{ attempts: 3 }]);
  });

  it("used for another wish is refused", async () => {
    const key = { price: monthly, idempotency_key: "order-2" };
    await shop.tab(buyer, key);
    expect(await shop.tab(buyer, { ...key, price: yearly })).toBe("idempotency_conflict");
  });
});

describe("a trial", () => {
  const trialOf = async (url: string) => {
    const session = await shop.pay(url, buyer);
    await shop.hear();
    const { trial_end, id } = await shop.stripe.subscriptions.retrieve(String(session.subscription));
    return { hasTrial: trial_end !== null, id };
  };
  const end = async (id: string) => {
    await shop.stripe.subscriptions.cancel(id);
    await shop.hear();
  };

  it("is what the price offers, each time, unless settings allow one per buyer and product", async () => {
    const [trial = "", longer = ""] = await shop.prices(
      { recurring: { interval: "month" }, metadata: { trial_period_days: "14" } },
      { recurring: { interval: "year" }, metadata: { trial_period_days: "30" } },
    );
    const [elsewhere = ""] = await shop.prices({
      recurring: { interval: "month" },
      metadata: { trial_period_days: "7" },
    });
    const first = await trialOf(await shop.tab(buyer, { price: trial }));
    expect(first.hasTrial).toBe(true);
    await end(first.id);
    const second = await trialOf(await shop.tab(buyer, { price: trial }));
    expect(second.hasTrial).toBe(true);
    await end(second.id);
    await shop.database.sql`update billing.settings set one_trial_per_product = true where id`;
    const third = await trialOf(await shop.tab(buyer, { price: longer }));
    expect(third.hasTrial).toBe(false);
    expect((await trialOf(await shop.tab(buyer, { price: elsewhere }))).hasTrial).toBe(true);
    await shop.database.sql`update billing.settings set one_trial_per_product = false where id`;
  });

  it("that went on as another plan counts all the same, for either product", async () => {
    const recurring = { interval: "month" } as const;
    const [basic = ""] = await shop.prices({ recurring, metadata: { trial_period_days: "14" } });
    const [pro = ""] = await shop.prices({ recurring, metadata: { trial_period_days: "14" } });
    const { id } = await trialOf(await shop.tab(buyer, { price: basic }));
    const [item] = (await shop.stripe.subscriptions.retrieve(id)).items.data;
    await shop.stripe.subscriptions.update(id, { items: [{ id: String(item?.id), price: pro }] });
    await shop.hear();
    await end(id);
    await shop.database.sql`update billing.settings set one_trial_per_product = true where id`;
    for (const price of [basic, pro]) {
      const again = await trialOf(await shop.tab(buyer, { price }));
      expect(again.hasTrial).toBe(false);
      await end(again.id);
    }
    await shop.database.sql`update billing.settings set one_trial_per_product = false where id`;
  });
});
