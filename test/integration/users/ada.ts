import type { TestDatabase } from "../../support/database.ts";
import { told } from "../../support/orders.ts";
import { price, product } from "../../support/stripe/catalogue.ts";
import { checkoutSession, customer } from "../../support/stripe/customers.ts";
import type { StripeEvent, StripeObject } from "../../support/stripe/events.ts";
import { invoice, invoicePayment } from "../../support/stripe/invoices.ts";
import { charge, paymentIntent, refund } from "../../support/stripe/payments.ts";
import { subscription, subscriptionItem } from "../../support/stripe/subscriptions.ts";

export const NOW = 1_790_000_000;

/** What tells who somebody is, in every place of Stripe's where it can stand. `who` makes it this person's. */
export function person(who: string) {
  return {
    name: `${who} Lovelace`,
    email: `${who.toLowerCase()}@lovelace.example`,
    phone: `+49 30 ${who}55`,
    street: `${who}strasse 7`,
    company: `${who}-analytical`,
    comment: `${who} says farewell`,
    page: `https://pay.example/i/${who}token`,
    reference: `team-of-${who}`.toLowerCase(),
    last4: who === "Ada" ? "9137" : "9138",
    fingerprint: `${who}CardFingerprint`,
  };
}
export type Person = ReturnType<typeof person>;

/** A customer's whole story as Stripe tells it, ids ending in `_<who>`: trial of nothing, paid, refunded, left. */
export function story(who: string, userId: string): StripeEvent[] {
  const p = person(who);
  const id = (prefix: string) => `${prefix}_Example${who}`;
  const address = {
    city: "Berlin",
    country: "DE",
    line1: p.street,
    line2: null,
    postal_code: "10117",
    state: null,
  };
  const billingDetails = { address, email: p.email, name: p.name, phone: p.phone, tax_id: null };
  const buyer = customer({
    id: id("cus"),
    created: NOW,
    email: p.email,
    name: p.name,
    phone: p.phone,
    description: p.company,
    address,
    shipping: { address, name: p.name, phone: p.phone },
    preferred_locales: ["de"],
    metadata: { owner_id: userId, company: p.company, duebase_note: p.name },
  });
  const plan = price({ id: id("price"), created: NOW, product: id("prod"), unit_amount: 1900 });
  const item = subscriptionItem({
    id: id("si"),
    created: NOW,
    subscription: id("sub"),
    price: plan,
    current_period_start: NOW,
    current_period_end: NOW + 2_592_000,
    metadata: { seat: p.name },
  });
  const plans = subscription({
    id: id("sub"),
    created: NOW,
    customer: id("cus"),
    items: [item],
    description: p.comment,
    metadata: { ordered_by: p.email, owner_id: userId },
  });
  const bill = invoice({
    id: id("in"),
    created: NOW,
    customer: id("cus"),
    subscription: id("sub"),
    items: [item],
    customer_email: p.email,
    customer_name: p.name,
    customer_phone: p.phone,
    customer_address: address,
    status: "paid",
    number: `EX${who}-0001`.toUpperCase(),
    amount_paid: 1900,
    amount_remaining: 0,
    hosted_invoice_url: p.page,
    invoice_pdf: `${p.page}.pdf`,
    footer: p.comment,
    metadata: { po: p.reference },
  });
  const declinedCharge = {
    ...charge({ id: id("ch"), created: NOW, amount: 1900, customer: id("cus"), payment_intent: id("pi") }),
    billing_details: billingDetails,
    description: p.comment,
    receipt_email: p.email,
    receipt_url: p.page,
    metadata: { who: p.name },
  };
  const card = declinedCharge.payment_method_details?.card;
  if (card) Object.assign(card, { last4: p.last4, fingerprint: p.fingerprint });
  const intent = paymentIntent({
    id: id("pi"),
    created: NOW,
    amount: 1900,
    amount_received: 1900,
    customer: id("cus"),
    status: "succeeded",
    description: p.comment,
    receipt_email: p.email,
    metadata: { who: p.name },
  });
  const ended = {
    ...plans,
    status: "canceled" as const,
    ended_at: NOW + 500,
    canceled_at: NOW + 500,
    cancellation_details: {
      comment: p.comment,
      feedback: "other" as const,
      feedback_option: null,
      reason: null,
    },
  };
  const events: [string, number, StripeObject, object?][] = [
    ["product.created", NOW, product({ id: id("prod"), created: NOW, name: "Example plan" })],
    ["price.created", NOW, plan],
    ["customer.created", NOW, buyer],
    ["customer.updated", NOW, { ...buyer, name: `${p.name} Byron` }, buyer],
    [
      "checkout.session.completed",
      NOW,
      checkoutSession({
        id: id("cs_test"),
        created: NOW,
        customer: id("cus"),
        subscription: id("sub"),
        client_reference_id: p.reference,
        customer_email: p.email,
        metadata: { owner_id: userId, company: p.company },
        customer_details: {
          address,
          business_name: p.company,
          email: p.email,
          individual_name: p.name,
          name: p.name,
          phone: p.phone,
          tax_exempt: "none",
          tax_ids: [],
        },
      }),
    ],
    ["customer.subscription.created", NOW, plans],
    ["payment_intent.succeeded", NOW + 60, intent],
    ["charge.succeeded", NOW + 60, declinedCharge],
    ["invoice.paid", NOW + 61, bill],
    [
      "invoice_payment.paid",
      NOW + 61,
      invoicePayment({
        id: id("inpay"),
        created: NOW + 61,
        invoice: id("in"),
        payment: { payment_intent: id("pi"), type: "payment_intent" },
        amount: 1900,
      }),
    ],
    ["charge.refunded", NOW + 400, { ...declinedCharge, amount_refunded: 900 }, declinedCharge],
    [
      "refund.created",
      NOW + 400,
      {
        ...refund({
          id: id("re"),
          created: NOW + 400,
          amount: 900,
          charge: id("ch"),
          payment_intent: id("pi"),
          metadata: { asked_by: p.name },
        }),
        instructions_email: p.email,
      },
    ],
    [
      "charge.dispute.created",
      NOW + 450,
      {
        id: id("du"),
        object: "dispute",
        amount: 1000,
        charge: id("ch"),
        payment_intent: id("pi"),
        currency: "eur",
        created: NOW + 450,
        status: "needs_response",
        reason: "fraudulent",
        is_charge_refundable: false,
        evidence: { customer_name: p.name, customer_email_address: p.email, billing_address: p.street },
        evidence_details: { due_by: NOW + 500_000, has_evidence: true },
        metadata: { case: p.comment },
        livemode: false,
      },
    ],
    [
      "payment_method.attached",
      NOW,
      {
        id: id("pm"),
        object: "payment_method",
        type: "card",
        created: NOW,
        customer: id("cus"),
        billing_details: billingDetails,
        card: {
          brand: "visa",
          last4: p.last4,
          exp_month: 4,
          exp_year: 2031,
          country: "DE",
          funding: "credit",
          fingerprint: p.fingerprint,
        },
        metadata: { label: p.company },
        livemode: false,
      },
    ],
    ["customer.subscription.deleted", NOW + 500, ended],
  ];
  return events.map(([type, at, object, before]) => told(type, at, object, before));
}

/** Every cell of both schemas that holds one of these strings: `table.column`, in order. */
export async function whereabouts(database: TestDatabase, strings: string[]): Promise<string[]> {
  const columns = await database.sql<{ relation: string; column: string }[]>`
    select format('%I.%I', n.nspname, c.relname) as relation, a.attname as column
    from pg_attribute as a
    join pg_class as c on c.oid = a.attrelid
    join pg_namespace as n on n.oid = c.relnamespace
    where n.nspname in ('billing', 'billing_private')
      and c.relkind in ('r', 'p', 'm')
      and not c.relispartition
      and a.attnum > 0
      and not a.attisdropped
      and (a.atttypid in ('text'::regtype, 'jsonb'::regtype, 'json'::regtype, 'varchar'::regtype)
        or a.atttypid::regtype::text like '%[]')
    order by 1, 2
  `;
  const found: string[] = [];
  for (const { relation, column } of columns) {
    const [row] = await database.sql`
      select count(*)::int as times from ${database.sql(relation)} as t
      where exists (
        select from unnest(${strings}::text[]) as s (part)
        where position(lower(s.part) in lower(t.${database.sql(column)}::text)) > 0
      )
    `;
    if (row?.times > 0) found.push(`${relation}.${column}`);
  }
  return found;
}
