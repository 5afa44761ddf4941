import type { Price } from "../../../scripts/local/stripe/core/wire.ts";
import { price, product } from "../stripe/catalogue.ts";
import type { Account } from "./account.ts";

/** A product with a price, both made within one second, as in the dashboard. */
export function addPlan(account: Account): string {
  const { random, now } = account;
  const productId = account.id("prod");
  const priceId = account.id("price");
  account.create(
    product({
      id: productId,
      created: now,
      name: `Plan ${random.token(3)}`,
      metadata: {
        ...(random.chance(0.6) ? { features: someFeatures(account) } : {}),
        ...(random.chance(0.6) ? { limit_calls: someLimit(account) } : {}),
      },
    }),
    "product.created",
  );
  account.create(
    price({
      id: priceId,
      created: now,
      product: productId,
      unit_amount: random.pick([0, 900, 2900, 123_456]),
    }),
    "price.created",
  );
  if (random.chance(0.5))
    account.change(productId, { default_price: priceId, updated: now }, "product.updated");
  return priceId;
}

/** Features that a product or price names. */
function someFeatures({ random }: Account): string {
  return random
    .shuffled(["api", "export", "sso"])
    .slice(0, random.int(1, 3))
    .join(random.pick([",", ", "]));
}

/** A limit as metadata has it; the last one cannot be read. */
function someLimit({ random }: Account): string {
  return random.pick(["100", "2 per unit", "unlimited", "0", "lots"]);
}

/** Something about a product or its price changes. */
export function editPlan(account: Account, priceId: string): void {
  const { random } = account;
  const { product: productId, metadata, active } = account.get<Price>(priceId);
  const edits: (() => void)[] = [
    () =>
      account.change(productId, { name: `Plan ${random.token(3)}`, updated: account.now }, "product.updated"),
    () => account.change(productId, { active: random.chance(0.5) }, "product.updated"),
    () =>
      account.change(
        productId,
        { metadata: random.pick([{ features: someFeatures(account) }, {}]) },
        "product.updated",
      ),
    () =>
      account.change(
        priceId,
        { metadata: { ...metadata, features: random.pick([someFeatures(account), ""]) } },
        "price.updated",
      ),
    () =>
      account.change(
        productId,
        { metadata: { limit_calls: someLimit(account), limit_seats: someLimit(account) } },
        "product.updated",
      ),
    () =>
      account.change(
        priceId,
        { metadata: { ...metadata, limit_calls: random.pick([someLimit(account), ""]) } },
        "price.updated",
      ),
    () => account.change(priceId, { nickname: random.token(4) }, "price.updated"),
    () => account.change(priceId, { metadata: { ...metadata, seats: random.token(2) } }, "price.updated"),
    () => account.flip(priceId, { active: !active }, "price.updated"),
  ];
  if (!account.deletedAt.has(priceId) && !account.deletedAt.has(productId)) random.pick(edits)();
}

/** The price is deleted, then its product; sometimes in the second of an edit. */
export function removePlan(account: Account, priceId: string): void {
  const { random } = account;
  const { product: productId } = account.get<Price>(priceId);
  if (account.deletedAt.has(priceId)) return;
  if (random.chance(0.3)) account.change(priceId, { nickname: "going" }, "price.updated");
  account.remove(priceId, "price.deleted", { active: false }, random.chance(0.5));
  if (random.chance(0.5)) account.pass();
  account.remove(productId, "product.deleted", { active: false }, random.chance(0.5));
}
