import type { CheckoutSession, Customer } from "../../../scripts/local/stripe/core/wire.ts";
import { checkoutSession, customer } from "../stripe/customers.ts";
import type { Account } from "./account.ts";
import { refund, startPayment, succeed } from "./payment-actions.ts";

/** The user that a customer or session names: one who signs up, one who does not, or no valid id. */
function someUser(account: Account): string {
  const { random } = account;
  const known = account.users.length > 0 ? random.pick(account.users) : account.newUser(false);
  return random.pick([known, known, known.toUpperCase(), account.newUser(false), "not-a-user"]);
}

/** A new customer. */
export function addCustomer(account: Account): string {
  const { random } = account;
  const id = account.id("cus");
  account.create(
    customer({
      id,
      created: account.now,
      email: `${random.token(6)}@example.com`,
      name: `Customer ${random.token(3)}`,
      metadata: random.chance(0.3) ? { owner_id: someUser(account) } : {},
      preferred_locales: random.chance(0.3) ? ["de", "en"] : [],
      ...(random.chance(0.4) ? { customer_account: account.id("acct") } : {}),
    }),
    "customer.created",
  );
  return id;
}

/** Something about a customer changes, once or several times within a second. */
export function editCustomer(account: Account, id: string): void {
  const { random } = account;
  const edit = (patch: Partial<Customer>) => account.change(id, patch, "customer.updated");
  const now = account.get<Customer>(id);
  const edits: (() => void)[] = [
    () => edit({ email: `${random.token(6)}@example.com` }),
    () => edit({ balance: random.int(-5000, 5000) }),
    () => edit({ delinquent: !now.delinquent }),
    () => edit({ metadata: { ...now.metadata, note: random.token(4) } }),
    () =>
      edit({ metadata: Object.fromEntries(Object.entries(now.metadata).filter(([key]) => key !== "note")) }),
    () =>
      edit({
        invoice_settings: { ...now.invoice_settings, default_payment_method: account.id("pm") },
        currency: "eur",
      }),
    () => {
      for (const name of random.shuffled(["Ada", "Bo", "Cleo", "Dan"]).slice(0, random.int(2, 4)))
        edit({ name });
    },
    () => account.flip(id, { balance: now.balance + 100 }, "customer.updated"),
    () => account.flip(id, { metadata: { ...now.metadata, tried: "1" } }, "customer.updated"),
  ];
  random.pick(edits)();
}

/** The customer's metadata names its user, or another one. */
export function hintOwner(account: Account, id: string): void {
  const { metadata } = account.get<Customer>(id);
  account.change(id, { metadata: { ...metadata, owner_id: someUser(account) } }, "customer.updated");
}

/** A completed checkout, with or without its user's id. */
export function completeCheckout(account: Account, customerId: string, subscription: string | null): void {
  const { random } = account;
  const values = random.pick([
    { client_reference_id: someUser(account) },
    { client_reference_id: someUser(account), metadata: { owner_id: someUser(account) } },
    { metadata: { owner_id: someUser(account) } },
    { client_reference_id: someUser(account), payment_link: "plink_ExamplePlan" },
    {},
  ]);
  account.create(
    checkoutSession({
      id: account.id("cs_test"),
      created: account.now,
      customer: customerId,
      subscription,
      mode: subscription ? "subscription" : "setup",
      ...values,
    }),
    "checkout.session.completed",
  );
}

/** Metadata of a one-time checkout: what is bought, and for whom. */
function someCredits(
  account: Account,
): Partial<Pick<CheckoutSession, "client_reference_id" | "metadata" | "payment_link">> {
  const { random } = account;
  const bought = { credit_kind: random.pick(["images", "exports"]), credits: String(random.int(1, 500)) };
  return {
    metadata: random.pick([bought, bought, { ...bought, credits: "many" }, {}]),
    ...(random.chance(0.5) ? { client_reference_id: someUser(account) } : {}),
    ...(random.chance(0.2) ? { payment_link: "plink_ExampleCredits" } : {}),
  };
}

/** Credits are bought: a payment, reported before or after its checkout, and sometimes refunded. */
export function buyCredits(account: Account, customerId: string | null): void {
  const { random } = account;
  const amount = random.int(500, 9000);
  const paidWith = startPayment(account, { amount, customer: customerId });
  const charge = succeed(account, paidWith);
  account.create(
    checkoutSession({
      id: account.id("cs_test"),
      created: account.now,
      customer: customerId,
      mode: "payment",
      amount_subtotal: amount,
      amount_total: amount,
      payment_intent: paidWith,
      ...someCredits(account),
    }),
    "checkout.session.completed",
  );
  for (let times = random.pick([0, 0, 1, 2]); times > 0; times--) {
    account.pass();
    refund(account, charge);
  }
}

/** A checkout of one payment: paid at once, paid later or not by a bank debit, or expired. */
export function checkOutOnce(account: Account, customerId: string | null): void {
  const { random } = account;
  const id = account.id("cs_test");
  const end = random.pick(["paid", "succeeded", "failed", "expired", "expired"] as const);
  const amount = random.int(500, 9000);
  const session = {
    id,
    created: account.now,
    customer: customerId,
    mode: "payment" as const,
    amount_subtotal: amount,
    amount_total: amount,
    ...someCredits(account),
  };
  if (end === "expired") {
    const recovery = {
      allow_promotion_codes: false,
      enabled: true,
      expires_at: null,
      url: `https://pay.example.com/r/${id}`,
    };
    const after = random.chance(0.5) ? { recovery } : null;
    account.create(
      checkoutSession({ ...session, status: "expired", payment_status: "unpaid", after_expiration: after }),
      "checkout.session.expired",
    );
    return;
  }
  account.create(
    checkoutSession({
      ...session,
      payment_status: end === "paid" ? "paid" : "unpaid",
      payment_intent: account.id("pi"),
    }),
    "checkout.session.completed",
  );
  if (end === "paid") return;
  account.now += random.pick([0, 1, 86_400]);
  account.change(
    id,
    { payment_status: end === "succeeded" ? "paid" : "unpaid" },
    null,
    `checkout.session.async_payment_${end}`,
  );
}

/** A customer is deleted, sometimes in the second of its last change. */
export function removeCustomer(account: Account, id: string): void {
  const { random } = account;
  if (random.chance(0.4)) editCustomer(account, id);
  account.remove(id, "customer.deleted", { default_source: null }, random.chance(0.6));
}
