import Stripe from "stripe";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { completeCheckout, decideDispute } from "../../../scripts/local/stripe/buyer.ts";
import { type LocalStripe, startLocalStripe } from "../../../scripts/local/stripe/server.ts";
import { clientOf } from "../../local-stripe/support/harness.ts";
import { createTestDatabase, type TestDatabase } from "../../support/database.ts";
import { API_VERSIONS, type ApiVersion, inShapeOf, linksOf } from "../../support/old-shapes.ts";
import { deliver, told } from "../../support/orders.ts";
import { SEED } from "../../support/seed.ts";
import { Random } from "../../support/simulation/random.ts";
import { previousAttributes, type StripeEvent, type StripeObject } from "../../support/stripe/events.ts";
import { charge, dispute, paymentIntent, refund } from "../../support/stripe/payments.ts";

/** DUEBASE_SEED replays a run; DUEBASE_BUSINESSES makes it longer or shorter. */
const COUNT = Number(process.env.DUEBASE_BUSINESSES ?? 6);
const DAY = 86_400_000;

/** A local Stripe in which time stands until it is moved. */
interface Business {
  local: LocalStripe;
  stripe: Stripe;
  random: Random;
  pass(milliseconds: number): Promise<void>;
}

const CARDS = [
  "visa",
  "visa",
  "mastercard",
  "pendingRefund",
  "refundFail",
  "refundFail",
  "createDispute",
  "createDisputeProductNotReceived",
  "createDisputeInquiry",
  "chargeCustomerFail",
];
const CURRENCIES = ["usd", "eur", "jpy"];

/** Everything that moves money, as the seed decides. */
function deedsOf({ stripe, random, pass }: Business, customers: string[]): (() => Promise<unknown>)[] {
  const amount = () => random.int(500, 20_000);
  const somebody = () => random.pick(customers);
  const anyCharge = async () => random.pick((await stripe.charges.list({ limit: 50 })).data);
  const price = async (recurring: boolean) =>
    await stripe.prices.create({
      product: (await stripe.products.create({ name: "Pro" })).id,
      currency: random.pick(CURRENCIES),
      unit_amount: amount(),
      ...(recurring ? { recurring: { interval: random.pick(["week", "month"] as const) } } : {}),
    });
  const intent = async (values: Partial<Stripe.PaymentIntentCreateParams>) =>
    await stripe.paymentIntents.create({
      amount: amount(),
      currency: random.pick(CURRENCIES),
      payment_method: `pm_card_${random.pick(CARDS)}`,
      confirm: true,
      ...values,
    });
  return [
    async () => customers.push((await newCustomer(stripe, random)).id),
    async () =>
      stripe.subscriptions.create({ customer: somebody(), items: [{ price: (await price(true)).id }] }),
    () => pass(random.int(1, 9) * DAY),
    () => pass(random.int(1, 9) * DAY),
    () => intent({}),
    () => intent({ customer: somebody() }),
    async () => {
      const held = await intent({ capture_method: "manual" });
      await pass(random.int(0, 1) * DAY);
      if (random.chance(0.3)) return stripe.paymentIntents.cancel(held.id);
      const taken = random.chance(0.5) ? held.amount : Math.ceil(held.amount / 2);
      return stripe.paymentIntents.capture(held.id, { amount_to_capture: taken });
    },
    async () => {
      const iban = random.pick(["DE89370400440532013000", "DE62370400440532013001"]);
      const account = await stripe.paymentMethods.create({ type: "sepa_debit", sepa_debit: { iban } });
      const debit = {
        payment_method: account.id,
        allowed_payment_method_types: ["sepa_debit"] as "sepa_debit"[],
        currency: "eur",
      };
      await intent(debit);
      if (random.chance(0.7)) await pass(DAY);
    },
    () => stripe.charges.create({ amount: amount(), currency: "usd", source: "tok_visa" }),
    async () => {
      const invoice = await stripe.invoices.create({ customer: somebody(), auto_advance: false });
      await stripe.invoiceItems.create({
        customer: String(invoice.customer),
        invoice: invoice.id,
        amount: amount(),
        currency: "usd",
      });
      await stripe.invoices.finalizeInvoice(invoice.id);
      await stripe.invoices.pay(invoice.id, random.chance(0.3) ? { paid_out_of_band: true } : {});
    },
    async () => {
      const session = await stripe.checkout.sessions.create({
        mode: "payment",
        line_items: [{ price: (await price(false)).id, quantity: random.int(1, 3) }],
        success_url: "https://app.example.com/welcome",
      });
      if (random.chance(0.3)) return stripe.checkout.sessions.expire(session.id);
      return completeCheckout(stripe, session.id, { paymentMethod: `pm_card_${random.pick(CARDS)}` });
    },
    ...Array.from({ length: 4 }, () => async () => {
      const paid = await anyCharge();
      const left = paid.amount - paid.amount_refunded;
      await stripe.refunds.create({
        charge: paid.id,
        ...(random.chance(0.6) ? { amount: random.int(1, left) } : {}),
      });
    }),
    ...Array.from({ length: 2 }, () => async () => {
      const open = random.pick((await stripe.disputes.list({ limit: 50 })).data);
      await decideDispute(stripe, open.id, random.pick(["won", "lost"]));
    }),
    async () => {
      const open = random.pick((await stripe.disputes.list({ limit: 50 })).data);
      await stripe.disputes.update(open.id, {
        evidence: { product_description: "A plan" },
        submit: random.chance(0.5),
      });
    },
  ];
}

async function newCustomer(stripe: Stripe, random: Random): Promise<Stripe.Customer> {
  const { id } = await stripe.customers.create({ email: `${random.token(6)}@example.com` });
  const card = await stripe.paymentMethods.attach(`pm_card_${random.pick(CARDS)}`, { customer: id });
  return stripe.customers.update(id, { invoice_settings: { default_payment_method: card.id } });
}

/** What the local Stripe's own books say, and what came past it, by currency, in minor units. */
interface Books {
  gross: number;
  refunded: number;
  contested: number;
}

const paidPastStripe = (local: LocalStripe) =>
  local.ledger.effects.filter(({ kind, detail }) => kind === "invoice.paid" && detail === "past Stripe");

async function booksOf({ stripe, local }: Business): Promise<Record<string, Books>> {
  const books: Record<string, Books> = {};
  for (const { currency, amount } of paidPastStripe(local)) {
    const book = books[String(currency)] ?? { gross: 0, refunded: 0, contested: 0 };
    books[String(currency)] = { ...book, gross: book.gross + (amount ?? 0) };
  }
  for await (const entry of stripe.balanceTransactions.list({ limit: 100 })) {
    const book = books[entry.currency] ?? { gross: 0, refunded: 0, contested: 0 };
    books[entry.currency] = book;
    if (entry.type === "charge") book.gross += entry.amount;
    else if (entry.type === "adjustment") book.contested -= entry.amount;
    else book.refunded -= entry.amount;
  }
  return books;
}

/** A few weeks of business; refusals are part of it. */
async function live(seed: number, deeds: number): Promise<Business> {
  const random = new Random(seed);
  let now = Date.UTC(2026, 0, 15, 9);
  const local = await startLocalStripe({ port: 0, now: () => new Date(now) });
  const business: Business = {
    local,
    stripe: clientOf(local),
    random,
    async pass(milliseconds) {
      now += milliseconds;
      local.tick();
      await local.settled();
    },
  };
  const customers = [(await newCustomer(business.stripe, random)).id];
  for (let deed = 0; deed < deeds; deed++) {
    await business.pass(random.int(0, 3) * 1000);
    try {
      await random.pick(deedsOf(business, customers))();
    } catch (error) {
      const isRefusal = error instanceof Stripe.errors.StripeError && (error.statusCode ?? 500) < 500;
      const isNothingThere = error instanceof Error && error.message === "nothing to pick from";
      if (!isRefusal && !isNothingThere) throw error;
    }
  }
  return business;
}

/** The events as an endpoint of another API version gets them. */
function inVersion(version: ApiVersion, events: StripeEvent[]): StripeEvent[] {
  const payments = events
    .filter(({ type }) => type === "invoice_payment.paid")
    .map(({ data }) => data.object);
  const links = linksOf(payments);
  const records = new Set(
    payments
      .filter(({ payment }) => (payment as { type: string }).type === "payment_record")
      .map(({ invoice }) => invoice),
  );
  const isOld = version < "2025-03-31";
  return events.flatMap((event) => {
    const { object: told, previous_attributes: previous } = event.data;
    // Before 2025-03-31.basil what was paid out of band was no part of amount_paid.
    const isPastStripe = isOld && told.object === "invoice" && told.status === "paid" && records.has(told.id);
    const object = isPastStripe
      ? { ...told, paid_out_of_band: true, amount_paid: 0, amount_remaining: told.amount_due }
      : told;
    const shown = inShapeOf(version, object, links);
    if (!shown) return [];
    const before = previous && inShapeOf(version, { ...object, ...previous } as StripeObject, links);
    const data = before
      ? { object: shown, previous_attributes: previousAttributes(before, shown) }
      : { object: shown };
    return [{ ...event, api_version: version, data }];
  });
}

async function receiveAll(database: TestDatabase, events: StripeEvent[], lanes: number): Promise<void> {
  const queue = [...events];
  const work = async () => {
    for (let event = queue.shift(); event; event = queue.shift())
      expect(["processed", "duplicate"]).toContain(await database.receive(event));
  };
  await Promise.all(Array.from({ length: lanes }, work));
}

describe.each(Array.from({ length: COUNT }, (_, index) => SEED + index))("business %i", (seed) => {
  let database: TestDatabase;
  let business: Business;
  let events: StripeEvent[];
  let books: Record<string, Books>;
  let version: ApiVersion;
  beforeAll(async () => {
    database = await createTestDatabase();
    business = await live(seed, 60);
    version = API_VERSIONS[seed % API_VERSIONS.length] as ApiVersion;
    events = inVersion(version, JSON.parse(JSON.stringify(business.local.events.all())) as StripeEvent[]);
    books = await booksOf(business);
    const moved = business.local.ledger.effects.filter(({ kind }) => /^(charge|refund|dispute)/.test(kind));
    console.log(
      `revenue: DUEBASE_SEED=${seed} DUEBASE_BUSINESSES=1 ${version}, ${events.length} events, ${moved.length} movements`,
    );
  });
  afterAll(async () => {
    await business?.local.close();
    await database?.drop();
  });

  it("adds up to what Stripe's books say, to the cent, in any order and any repetition", async () => {
    const { random } = business;
    const repeated = events.flatMap((event) => (random.chance(0.2) ? [event, event] : [event]));
    await receiveAll(database, random.shuffled(repeated), 4);

    const shown = await database.asService(
      (sql) => sql<{ currency: string; gross: number; refunded: number; contested: number; net: number }[]>`
        select currency, sum(gross)::float8 as gross, sum(refunded)::float8 as refunded,
          sum(disputed + lost)::float8 as contested, sum(net)::float8 as net
        from billing.revenue group by currency order by currency
      `,
    );
    const expected = Object.entries(books)
      .sort(([one], [other]) => (one < other ? -1 : 1))
      .map(([currency, book]) => ({ currency, ...book, net: book.gross - book.refunded - book.contested }));
    expect([...shown]).toEqual(expected);

    const charged = business.local.ledger.effects.filter(
      ({ kind }) => kind === "charge.succeeded" || kind === "charge.captured",
    );
    const taken = [...charged, ...paidPastStripe(business.local)].reduce(
      (sum, { amount }) => sum + (amount ?? 0),
      0,
    );
    expect(shown.reduce((sum, { gross }) => sum + gross, 0)).toBe(taken);
  }, 60_000);

  it("adds up to the payments it is made of, and every payment is one or the other kind", async () => {
    const [sums] = await database.sql`
      select
        (select sum(gross) from billing.revenue) = sum(amount_received) as gross,
        (select sum(refunded) from billing.revenue) = sum(amount_refunded) as refunded,
        (select sum(disputed) from billing.revenue) = sum(amount_disputed) as disputed,
        (select sum(lost) from billing.revenue) = sum(amount_lost) as lost,
        (select sum(one_time) from billing.revenue) = coalesce(sum(amount_received) filter (where not exists (
          select from billing.invoices as i where i.id = invoice_id and i.subscription is not null
        )), 0) as one_time
      from billing.payments
    `;
    expect(sums).toEqual({ gross: true, refunded: true, disputed: true, lost: true, one_time: true });
  });
});

describe("a day", () => {
  let database: TestDatabase;
  beforeAll(async () => {
    database = await createTestDatabase();
  });
  afterAll(() => database.drop());

  it("is a day in UTC, of the payment, of the refund, of the dispute", async () => {
    const evening = Date.UTC(2026, 8, 30, 23, 59, 59) / 1000;
    const paid = { customer: "cus_ExampleAda", amount: 1000, currency: "eur" };
    const of = { charge: "ch_ExampleDay", payment_intent: "pi_ExampleDay" };
    await deliver(database, [
      told("payment_intent.succeeded", evening, {
        ...paymentIntent({ id: "pi_ExampleDay", created: evening - 60, ...paid }),
        status: "succeeded",
        amount_received: 1000,
      }),
      told(
        "charge.succeeded",
        evening,
        charge({ id: "ch_ExampleDay", created: evening, payment_intent: "pi_ExampleDay", ...paid }),
      ),
      told(
        "refund.created",
        evening + 1,
        refund({ id: "re_ExampleDay", created: evening + 1, amount: 300, ...of }),
      ),
      told(
        "charge.dispute.created",
        evening + 86_400 + 1,
        dispute({ id: "du_ExampleDay", created: evening + 86_400 + 1, amount: 700, ...of }),
      ),
    ]);
    const rows = await database.sql`
      select day::text, currency, payments::integer, gross::integer, one_time::integer, refunded::integer, disputed::integer, lost::integer, net::integer
      from billing.revenue order by day
    `;
    const nothing = {
      currency: "eur",
      payments: 0,
      gross: 0,
      one_time: 0,
      refunded: 0,
      disputed: 0,
      lost: 0,
    };
    expect([...rows]).toEqual([
      { ...nothing, day: "2026-09-30", payments: 1, gross: 1000, one_time: 1000, net: 1000 },
      { ...nothing, day: "2026-10-01", refunded: 300, net: -300 },
      { ...nothing, day: "2026-10-02", disputed: 700, net: -700 },
    ]);
  });
});
