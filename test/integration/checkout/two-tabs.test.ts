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
    expect(await shop.tab(buyer, { price: monthly })).toBe("already_subscribed");
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
