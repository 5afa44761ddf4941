import type { Customer, PaymentMethod, Subscription } from "../../../scripts/local/stripe/core/wire.ts";
import { card, paymentMethod } from "../stripe/payments.ts";
import type { Account } from "./account.ts";

/** A customer saves a card or a bank account, often as the default. */
export function attachMethod(account: Account, customer: string): string {
  const { random } = account;
  const id = account.id("pm");
  const isCard = random.chance(0.8);
  account.create(
    paymentMethod({
      id,
      created: account.now,
      customer,
      ...(isCard
        ? { card: card({ exp_month: random.int(1, 12), exp_year: random.int(2026, 2032) }) }
        : { type: "sepa_debit", card: undefined }),
    }),
    "payment_method.attached",
  );
  if (random.chance(0.6)) {
    const { invoice_settings: settings } = account.get<Customer>(customer);
    const chosen = { invoice_settings: { ...settings, default_payment_method: id } };
    account.change(customer, chosen, "customer.updated");
  }
  return id;
}

/** A payment method changes, or is detached for good. */
export function editMethod(account: Account, id: string): void {
  const { random } = account;
  const now = account.get<PaymentMethod>(id);
  if (now.customer === null) return;
  const edits: (() => void)[] = [
    () =>
      account.change(id, { metadata: { ...now.metadata, note: random.token(3) } }, "payment_method.updated"),
    () => account.flip(id, { metadata: { ...now.metadata, tried: "1" } }, "payment_method.updated"),
    () => account.change(id, { customer: null }, "payment_method.detached"),
  ];
  if (now.card) {
    const renewed = { card: { ...now.card, exp_year: now.card.exp_year + 4 } };
    edits.push(
      () => account.change(id, renewed, "payment_method.updated"),
      () => account.change(id, renewed, "payment_method.automatically_updated"),
    );
  }
  random.pick(edits)();
}

/**
 * A card becomes the default of the customer, of a subscription, or of both. Sometimes that is undone, at once or later,
 * and a subscription changes to its customer's default.
 */
export function giveCard(account: Account, customer: string, subscription: string | undefined): void {
  const { random } = account;
  const method = account.id("pm");
  const { invoice_settings: settings } = account.get<Customer>(customer);
  const toCustomer = (default_payment_method: string | null) =>
    account.change(
      customer,
      { invoice_settings: { ...settings, default_payment_method } },
      "customer.updated",
    );
  const own = subscription ? account.get<Subscription>(subscription).default_payment_method : null;
  const toSubscription = (default_payment_method: string | null) => {
    if (subscription)
      account.change(subscription, { default_payment_method }, "customer.subscription.updated");
  };
  const level = random.pick(["customer", "subscription", "both"] as const);
  if (level !== "subscription") toCustomer(method);
  if (level !== "customer") toSubscription(method);
  if (random.chance(0.6)) return;
  account.pass();
  if (level !== "subscription") toCustomer(settings.default_payment_method);
  if (level !== "customer") toSubscription(own);
}
