import type { TestDatabase } from "../../support/database.ts";
import { told } from "../../support/orders.ts";
import { checkoutSession, customer } from "../../support/stripe/customers.ts";
import type { StripeEvent } from "../../support/stripe/events.ts";
import { charge, paymentIntent } from "../../support/stripe/payments.ts";

export const NOW = 1_790_000_000;
export const PRICE = 1000;

const credits = { credit_kind: "images", credits: "100" };

/** The events of a one-time purchase of 100 credits for 10.00, as Stripe tells them. */
export const bought = {
  customer: (user?: string, created = NOW) =>
    told(
      created > NOW ? "customer.updated" : "customer.created",
      created,
      customer({
        id: "cus_ExampleAda",
        created: NOW,
        metadata: user ? { owner_id: user } : {},
      }),
    ),
  /** The checkout, by a customer or by a guest who is named. */
  checkout: (
    values: {
      type?: string;
      at?: number;
      metadata?: Record<string, string>;
      guest?: string;
      payment_link?: string;
      payment_status?: "paid" | "unpaid" | "no_payment_required";
      payment_intent?: string | null;
      mode?: "payment" | "subscription";
    } = {},
  ): StripeEvent =>
    told(
      values.type ?? "checkout.session.completed",
      values.at ?? NOW + 2,
      checkoutSession({
        id: "cs_test_ExampleBuy",
        created: NOW,
        mode: values.mode ?? "payment",
        customer: values.guest ? null : "cus_ExampleAda",
        client_reference_id: values.guest ?? null,
        payment_link: values.payment_link ?? null,
        payment_intent: values.payment_intent === undefined ? "pi_ExampleBuy" : values.payment_intent,
        payment_status: values.payment_status ?? "paid",
        amount_total: PRICE,
        metadata: values.metadata ?? credits,
      }),
    ),
  intent: (values: { at?: number; metadata?: Record<string, string>; customer?: string | null } = {}) =>
    told(
      "payment_intent.succeeded",
      values.at ?? NOW + 1,
      paymentIntent({
        id: "pi_ExampleBuy",
        created: NOW,
        amount: PRICE,
        amount_received: PRICE,
        customer: values.customer === undefined ? "cus_ExampleAda" : values.customer,
        status: "succeeded",
        metadata: values.metadata ?? {},
      }),
    ),
  charge: (refunded = 0, created = NOW + 1, customer: string | null = "cus_ExampleAda") =>
    told(
      refunded > 0 ? "charge.refunded" : created > NOW + 1 ? "charge.updated" : "charge.succeeded",
      created,
      charge({
        id: "ch_ExampleBuy",
        created: NOW,
        amount: PRICE,
        amount_refunded: refunded,
        payment_intent: "pi_ExampleBuy",
        customer,
      }),
    ),
};

export interface EntryRow {
  owner_id: string;
  kind: string;
  credits: number;
  balance_after: number;
  reason: string;
  missing: number;
}

/** The ledger's entries of a name's purchase, in the order they were written. */
export async function entriesOf(database: TestDatabase, name: string): Promise<EntryRow[]> {
  return await database.sql<EntryRow[]>`
    select owner_id, kind, credits::float8 as credits, balance_after::float8 as balance_after, reason, missing::float8 as missing
    from billing.credit_entries where purchase like ${`%\\_${name}%`} order by id
  `;
}

/** What a user has of a kind, as the application reads it. */
export async function balanceOf(database: TestDatabase, user: string, kind = "images"): Promise<number> {
  const [row] = await database.asService(
    (sql) => sql<{ balance: string }[]>`select billing.credit_balance(${user}, ${kind}) as balance`,
  );
  return Number(row?.balance);
}

/** Deducts as the application does. Returns the new balance. */
export async function deduct(
  database: TestDatabase,
  user: string,
  amount: number | null,
  key: string | null,
  kind: string | null = "images",
): Promise<number> {
  const [row] = await database.asService(
    (sql) =>
      sql<
        { balance_after: string }[]
      >`select balance_after from billing.deduct_credits(${user}, ${kind}, ${amount}, ${key})`,
  );
  return Number(row?.balance_after);
}

/** Grants as the application does. Returns the new balance. */
export async function grant(
  database: TestDatabase,
  user: string,
  amount: number | null,
  key: string | null,
  kind: string | null = "images",
): Promise<number> {
  const [row] = await database.asService(
    (sql) =>
      sql<
        { balance_after: string }[]
      >`select balance_after from billing.grant_credits(${user}, ${kind}, ${amount}, ${key}, 'welcome')`,
  );
  return Number(row?.balance_after);
}

export interface Refusal {
  code?: string;
  message?: string;
  detail?: string;
}

export const refusalOf = (work: Promise<unknown>): Promise<Refusal> =>
  work.then(
    () => ({}),
    (error: Refusal) => error,
  );
