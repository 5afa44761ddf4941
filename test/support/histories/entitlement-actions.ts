import type { StripeObject } from "../stripe/events.ts";
import type { Account } from "./account.ts";

const SUMMARY = "entitlements.active_entitlement_summary";

/** Stripe reports a customer's entitlements: the first ones, or that one was added or removed. */
export function listEntitlements(account: Account, customer: string): void {
  const { random } = account;
  const id = summaryOf(customer);
  const keys = random.shuffled(["api", "export", "sso", "roles"]).slice(0, random.int(0, 4));
  const entitlements = {
    object: "list",
    data: keys.sort().map((key) => ({
      id: `ent_${account.tag}x${key}`,
      object: "entitlements.active_entitlement",
      feature: `feat_${account.tag}x${key}`,
      livemode: false,
      lookup_key: key,
    })),
    has_more: false,
    url: "/v1/entitlements/active_entitlements",
  };
  const before = account.objects.get(id);
  if (!before)
    account.objects.set(id, {
      ...{ id, object: SUMMARY, customer, livemode: false },
      entitlements: { ...entitlements, data: [] },
    } as StripeObject);
  account.change(id, { entitlements }, `${SUMMARY}.updated`);
  if (keys.length > 2) {
    // A summary that is cut off does not tell everything, whatever else arrives in this second.
    account.mayBeUnclear.add(`${id} ${account.now}`);
    account.isUnclear.add(`${id} ${account.now}`);
  }
}

/** What the database calls the summary of a customer. */
export function summaryOf(customer: string): string {
  return `${customer}/entitlements`;
}
