import type { Invoice, Price, Product, Subscription } from "../../../scripts/local/stripe/core/wire.ts";
import type { Account } from "./account.ts";
import type { State } from "./state.ts";
import { time, userOf } from "./truth.ts";

interface Entitlement {
  owner_id: string;
  feature: string;
  sources: string[];
  valid_until: string | null;
}

const GRANTING = ["active", "trialing", "past_due"];

/**
 * Entitlements that are shown and should not be, or the other way round, a line each. Nothing where the database has
 * asked Stripe about something they follow from, or where the owner of a customer cannot be known.
 */
export function entitlementUntruths(
  account: Account,
  state: State | undefined,
  hasAsked: (ids: string[]) => boolean,
): string[] {
  const expected = entitlementsOf(account, hasAsked);
  if (!expected) return [];
  const shown = (state?.get("entitlements") ?? []).map((row) => lineOf(JSON.parse(row) as Entitlement));
  const wanted = expected.map(lineOf);
  return [
    ...wanted.filter((line) => !shown.includes(line)).map((line) => `entitlements ${line} is missing`),
    ...shown
      .filter((line) => !wanted.includes(line))
      .map((line) => `entitlements ${line} should not be there`),
  ];
}

const lineOf = ({ owner_id, feature, sources, valid_until }: Entitlement) =>
  `${owner_id} ${feature} ${sources.join(",")} ${valid_until}`;

function entitlementsOf(account: Account, hasAsked: (ids: string[]) => boolean): Entitlement[] | undefined {
  const grants: { user: string; feature: string; source: string; end: number | null }[] = [];
  const isTold = (id: string) => account.lastTold.has(id);
  const named = (id: string): string[] => {
    const { metadata } = account.get<Product | Price>(id);
    return (isTold(id) ? (metadata.features ?? "") : "").split(",").map((key) => key.trim());
  };
  for (const [id, object] of account.objects) {
    if (!isTold(id) || (object.object !== "subscription" && !id.endsWith("/entitlements"))) continue;
    const customer = object.customer as string;
    const user = userOf(account, customer);
    if (user === undefined || hasAsked([id, customer])) return undefined;
    if (user === null || account.deletedAt.has(customer)) continue;
    if (object.object !== "subscription") {
      const { data } = object.entitlements as { data: { lookup_key: string }[] };
      for (const { lookup_key } of data)
        grants.push({ user, feature: lookup_key, source: customer, end: null });
      continue;
    }
    const { items, status, cancel_at } = object as unknown as Subscription;
    // The dunning case of an overdue invoice keeps access. Whether it is open yet depends on the clock.
    if (["unpaid", "paused"].includes(status) && hasOpenInvoice(account, id)) return undefined;
    for (const { price, current_period_end } of items.data) {
      if (hasAsked([price.id, price.product as string])) return undefined;
      if (!GRANTING.includes(status)) continue;
      for (const feature of [...named(price.id), ...named(price.product as string)])
        if (feature)
          grants.push({
            user,
            feature,
            source: id,
            end: Math.min(cancel_at ?? Infinity, current_period_end),
          });
    }
  }
  const keys = [...new Set(grants.map(({ user, feature }) => `${user} ${feature}`))];
  return keys.map((key) => {
    const own = grants.filter(({ user, feature }) => `${user} ${feature}` === key);
    const [owner_id = "", feature = ""] = key.split(" ");
    return {
      owner_id,
      feature,
      sources: [...new Set(own.map(({ source }) => source))].sort(),
      valid_until: own.some(({ end }) => end === null)
        ? null
        : time(Math.max(...own.map(({ end }) => end ?? 0))),
    };
  });
}

function hasOpenInvoice(account: Account, subscription: string): boolean {
  return [...account.objects.values()]
    .filter(({ object }) => object === "invoice")
    .map((object) => object as unknown as Invoice)
    .some(
      ({ status, parent }) =>
        status === "open" && parent?.subscription_details?.subscription === subscription,
    );
}
