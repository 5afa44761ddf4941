import { afterEach, expect, it } from "vitest";
import { NEWEST } from "../../support/old-shapes.ts";
import { DAY, HOUR, paidInvoice, START, ToldDatabase, told, unpaid } from "./told.ts";

let world: ToldDatabase;
afterEach(() => world.close());

const NOTICE = "payment-failed-notice";
const FORGIVEN = START + 4 * DAY;

/** Somebody who has had the notice. */
async function overdue(values: Parameters<typeof unpaid>[0] = {}, version = NEWEST): Promise<void> {
  world = await ToldDatabase.open(told(), version);
  await world.fail(unpaid(values));
  await world.evaluate(START + 2 * HOUR);
  await world.sendMails(START + 2 * HOUR);
  expect(await world.mails()).toEqual([NOTICE]);
}

async function becomes(after: ReturnType<typeof unpaid>, before = unpaid()): Promise<void> {
  await world.tell("invoice.updated", FORGIVEN, after, before);
  await world.tell("invoice.paid", FORGIVEN, after);
  await world.tell("customer.subscription.updated", FORGIVEN, told(), told({ status: "past_due" }));
  await world.sendMails(FORGIVEN + 60);
}

const outcomes = async () => {
  const [row] = await world.database.asService(
    (sql) => sql`
      select recovered::int, settled_without_payment::int, lost::int, let_off::int, amount_recovered::int, recovery_rate::float
      from billing.dunning_outcomes`,
  );
  return row;
};

it.each([NEWEST, "2024-09-30.acacia"] as const)(
  "an invoice that a credit note pays is no recovery, and nobody is thanked (%s)",
  async (version) => {
    await overdue({}, version);
    await becomes(paidInvoice(unpaid(), FORGIVEN, 0));
    expect(await world.cases()).toMatchObject([
      { status: "closed", outcome: "settled_without_payment", amount_due: 2000, amount_recovered: 0 },
    ]);
    expect(await world.mails()).toEqual([NOTICE]);
    expect(await outcomes()).toEqual({
      recovered: 0,
      settled_without_payment: 1,
      lost: 0,
      let_off: 0,
      amount_recovered: 0,
      recovery_rate: null,
    });
  },
);

it("of an invoice that was credited in part and then paid, only the money is recovered", async () => {
  await overdue();
  await becomes(paidInvoice(unpaid(), FORGIVEN, 1500));
  expect(await world.cases()).toMatchObject([
    { outcome: "recovered", amount_due: 2000, amount_recovered: 1500 },
  ]);
  expect(await world.mails()).toEqual([NOTICE, "payment-recovered"]);
  expect(await world.text("payment-recovered")).toContain("€15.00");
});

it("what had been paid before it was overdue is not recovered by crediting the rest", async () => {
  const partly = { amount_paid: 500, amount_remaining: 1500 };
  await overdue(partly);
  const credited = { ...paidInvoice(unpaid(), FORGIVEN, 500), amount_due: 500 };
  await world.tell("invoice.updated", FORGIVEN, credited, unpaid(partly));
  expect(await world.cases()).toMatchObject([
    { outcome: "settled_without_payment", amount_due: 1500, amount_recovered: 0 },
  ]);
  expect(await world.mails()).toEqual([NOTICE]);
});

it("money that came for an invoice before the rest was written off is counted", async () => {
  await overdue();
  const partly = unpaid({ amount_paid: 500, amount_remaining: 1500 });
  await world.tell("invoice.updated", START + 3 * DAY, partly, unpaid());
  await world.tell("invoice.marked_uncollectible", FORGIVEN, { ...partly, status: "uncollectible" });
  expect(await world.cases()).toMatchObject([
    { outcome: "uncollectible", amount_due: 2000, amount_recovered: 500 },
  ]);
});

it.each([NEWEST, "2024-09-30.acacia"] as const)(
  "money that came past Stripe is money: recovered, thanked for with a receipt (%s)",
  async (version) => {
    await overdue({}, version);
    const paid = paidInvoice(unpaid(), FORGIVEN);
    // Before 2025-03-31.basil an invoice that was paid out of band left that out of amount_paid.
    const shown =
      version === NEWEST ? {} : { paid_out_of_band: true, amount_paid: 0, amount_remaining: 2000 };
    await becomes({ ...paid, ...shown });
    expect(await world.cases()).toMatchObject([
      { outcome: "recovered", amount_due: 2000, amount_recovered: 2000 },
    ]);
    expect(await world.mails()).toEqual([NOTICE, "payment-recovered"]);
    expect(await world.text("payment-recovered")).toContain("Amount paid: €20.00");
    const [invoice] = await world.database.sql`
      select amount_paid::int as paid, amount_remaining::int as remaining from billing.invoices where id = ${paid.id}`;
    expect(invoice).toEqual({ paid: 2000, remaining: 0 });
  },
);

it("two invoices, one paid and one credited, are a recovery of what was paid", async () => {
  await overdue();
  const second = unpaid({ id: "in_Second", amount_due: 700, amount_remaining: 700, total: 700 });
  await world.tell("invoice.payment_failed", START + DAY, second);
  await world.tell("invoice.paid", FORGIVEN, paidInvoice(second, FORGIVEN, 0));
  expect(await world.cases()).toMatchObject([{ status: "open" }]);
  await world.tell("invoice.paid", FORGIVEN + 60, paidInvoice(unpaid(), FORGIVEN + 60));
  expect(await world.cases()).toMatchObject([{ outcome: "recovered", amount_recovered: 2000 }]);
});
