import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { createTestDatabase, type TestDatabase } from "../../support/database.ts";
import { API_VERSIONS, inShapeOf, linksOf } from "../../support/old-shapes.ts";
import { deliver, deliverInEveryOrder, told } from "../../support/orders.ts";
import type { StripeEvent, StripeObject } from "../../support/stripe/events.ts";
import { charge, dispute, paymentIntent, refund } from "../../support/stripe/payments.ts";

const NOW = 1_790_000_000;
const ada = "cus_ExampleAda";

let database: TestDatabase;
beforeAll(async () => {
  database = await createTestDatabase();
});
afterAll(() => database.drop());

const intent = {
  ...paymentIntent({ id: "pi_ExamplePaid", created: NOW, amount: 900, customer: ada }),
  status: "succeeded" as const,
  amount_received: 900,
  latest_charge: "ch_ExamplePaid",
};
const paid = charge({
  id: "ch_ExamplePaid",
  created: NOW,
  amount: 900,
  customer: ada,
  payment_intent: intent.id,
});
const of = { charge: paid.id, payment_intent: intent.id };
const given = (name: string, amount: number, created = NOW + 60) =>
  refund({ id: `re_Example${name}`, created, amount, ...of });
const contest = (values: object = {}) =>
  dispute({ id: "du_ExampleBank", created: NOW + 60, amount: 900, ...of, ...values });

/** What happened to a name's only payment, amounts as numbers. */
async function money(name: string): Promise<Record<string, unknown> | undefined> {
  const rows = await database.sql`
    select amount_received::integer as received, amount_refunded::integer as refunded, amount_disputed::integer as disputed,
      amount_lost::integer as lost, status, outcome
    from billing.payments where id like ${`%\\_${name}%`}
  `;
  expect(rows.length).toBeLessThan(2);
  return rows[0];
}
const whole = { received: 900, refunded: 0, disputed: 0, lost: 0, status: "succeeded", outcome: "paid" };

async function expectInEveryOrder(events: StripeEvent[], expected: object): Promise<void> {
  for (const name of await deliverInEveryOrder(database, events)) expect(await money(name)).toEqual(expected);
}

const succeeded = told("charge.succeeded", NOW, paid);
const collected = told("payment_intent.succeeded", NOW, intent);

describe("a refund", () => {
  const half = given("Half", 400);
  const after = { ...paid, amount_refunded: 400 };

  it("is taken off once, whether the refund or the charge shows it, or both, in any order", async () => {
    const byCharge = told("charge.refunded", NOW + 60, after, paid);
    const byRefund = told("refund.created", NOW + 60, half);
    const expected = { ...whole, refunded: 400, outcome: "partially_refunded" };
    await expectInEveryOrder([collected, succeeded, byCharge], expected);
    await expectInEveryOrder([collected, succeeded, byRefund], expected);
    await expectInEveryOrder([collected, succeeded, byCharge, byRefund], expected);
  });

  it("that fails is not taken off, though no event of the charge says so", async () => {
    const failed = { ...half, status: "failed", failure_reason: "lost_or_stolen_card" };
    await expectInEveryOrder(
      [
        succeeded,
        told("refund.created", NOW + 60, half),
        told("charge.refunded", NOW + 60, after, paid),
        told("refund.failed", NOW + 3600, failed),
      ],
      whole,
    );
  });

  it("that failed is known to a charge that becomes known later", async () => {
    const failed = { ...half, status: "failed" };
    await expectInEveryOrder(
      [
        told("refund.failed", NOW + 3600, failed),
        told("charge.updated", NOW + 7200, { ...paid, amount_refunded: 300 }, paid),
        collected,
      ],
      { ...whole, refunded: 300, outcome: "partially_refunded" },
    );
  });

  it("of everything makes the payment a refunded one, in several steps or in one", async () => {
    await expectInEveryOrder(
      [
        succeeded,
        told("refund.created", NOW + 60, given("One", 400)),
        told("refund.created", NOW + 90, given("Two", 500, NOW + 90)),
        told("charge.refunded", NOW + 90, { ...paid, amount_refunded: 900, refunded: true }, paid),
      ],
      { ...whole, refunded: 900, outcome: "refunded" },
    );
  });

  it("without an event is known by the charge's sum, beside those with one", async () => {
    await expectInEveryOrder(
      [
        succeeded,
        told("refund.created", NOW + 60, given("One", 300)),
        told("charge.refunded", NOW + 90, { ...paid, amount_refunded: 700 }, paid),
      ],
      { ...whole, refunded: 700, outcome: "partially_refunded" },
    );
  });

  it("that is on its way counts; one that is canceled does not", async () => {
    const pending = { ...half, status: "pending" };
    const name = await deliver(database, [succeeded, told("refund.created", NOW + 60, pending)]);
    expect(await money(name)).toMatchObject({ refunded: 400, outcome: "partially_refunded" });
    await deliver(
      database,
      [told("refund.updated", NOW + 90, { ...half, status: "canceled" }, pending)],
      name,
    );
    expect(await money(name)).toEqual(whole);
  });

  it("makes no payment by itself, and is taken off once there is one", async () => {
    const name = await deliver(database, [told("refund.created", NOW + 60, half)]);
    expect(await money(name)).toBeUndefined();
    await deliver(database, [collected], name);
    expect(await money(name)).toMatchObject({ received: 900, refunded: 400 });
  });

  it("is none where a hold without a PaymentIntent was let go, which ends it", async () => {
    const held = { ...paid, payment_intent: null, captured: false, amount_captured: 0 };
    const gone = { ...held, amount_refunded: 900, refunded: true };
    for (const type of ["charge.refunded", "charge.expired"])
      await expectInEveryOrder([told("charge.succeeded", NOW, held), told(type, NOW + 60, gone)], {
        ...whole,
        received: 0,
        status: "canceled",
        outcome: "canceled",
      });
  });

  it("is none where a hold was let go, or taken only in part", async () => {
    const held = { ...paid, captured: false, amount_captured: 0 };
    const waiting = { ...intent, status: "requires_capture", amount_received: 0 };
    await expectInEveryOrder(
      [
        told("charge.succeeded", NOW, held),
        told("charge.expired", NOW + 60, { ...held, amount_refunded: 900, refunded: true }),
        told("payment_intent.canceled", NOW + 60, { ...waiting, status: "canceled" }),
      ],
      { ...whole, received: 0, status: "canceled", outcome: "canceled" },
    );
    const taken = { ...held, captured: true, amount_captured: 600, amount_refunded: 300 };
    await expectInEveryOrder(
      [
        told("charge.succeeded", NOW, held),
        told("charge.captured", NOW + 60, taken),
        told("refund.created", NOW + 60, given("Rest", 300)),
        told("payment_intent.succeeded", NOW + 60, { ...intent, amount_received: 600 }),
      ],
      { ...whole, received: 600 },
    );
  });
});

describe("a dispute", () => {
  const open = contest();
  const opened = told("charge.dispute.created", NOW + 60, open);
  const withdrawn = told("charge.dispute.funds_withdrawn", NOW + 61, open);
  const closed = (status: string) => told("charge.dispute.closed", NOW + 3600, { ...open, status }, open);

  it("holds the money back while it is open, in any order", async () => {
    await expectInEveryOrder([collected, succeeded, opened, withdrawn], {
      ...whole,
      disputed: 900,
      outcome: "disputed",
    });
  });

  it.each([
    ["won", { ...whole }],
    ["lost", { ...whole, lost: 900, outcome: "lost" }],
  ])("that is %s ends it, in any order", async (status, expected) => {
    await expectInEveryOrder([succeeded, opened, withdrawn, closed(status)], expected);
  });

  /** The movements of money that a dispute lists: what was taken, what was given back (minor units). */
  const moved = (...amounts: number[]) =>
    amounts.map((amount, index) => ({
      id: `txn_Example${index}`,
      object: "balance_transaction",
      amount,
      currency: "eur",
    }));
  const step = (type: string, seconds: number, status: string, amounts: number[] = []) =>
    told(
      `charge.dispute.${type}`,
      NOW + seconds,
      contest({ status, balance_transactions: moved(...amounts) }),
    );

  it.each(["appeal_needs_response", "appeal_under_review", "in_arbitration"])(
    "that was lost and is %s keeps the money away, and gives it back once the money is back",
    async (status) => {
      const lost = [
        succeeded,
        step("funds_withdrawn", 61, "needs_response", [-900]),
        step("closed", 3600, "lost", [-900]),
        step("updated", 7200, status, [-900]),
      ];
      await expectInEveryOrder(lost, { ...whole, lost: 900, outcome: "lost" });
      const back = step("funds_reinstated", 10_800, "won", [-900, 900]);
      const name = await deliver(database, [...lost, back]);
      expect(await money(name)).toEqual(whole);
      expect(await money(await deliver(database, [back, ...lost]))).toEqual(whole);
    },
  );

  it("that is prevented has taken what was withdrawn, whatever object says so, and nothing where nothing was", async () => {
    const gone = { ...whole, lost: 900, outcome: "lost" };
    await expectInEveryOrder([succeeded, step("created", 60, "prevented")], whole);
    await expectInEveryOrder(
      [succeeded, step("created", 60, "prevented"), step("funds_withdrawn", 60, "prevented")],
      gone,
    );
    await expectInEveryOrder([succeeded, step("created", 60, "prevented", [-900])], gone);
  });

  it("of a status that Stripe adds holds back what was withdrawn, and nothing else", async () => {
    await expectInEveryOrder([succeeded, step("created", 60, "in_mediation")], whole);
    await expectInEveryOrder(
      [succeeded, step("created", 60, "in_mediation"), step("funds_withdrawn", 61, "in_mediation")],
      {
        ...whole,
        disputed: 900,
        outcome: "disputed",
      },
    );
  });

  it("that was closed as an inquiry and became a dispute holds the money back", async () => {
    await expectInEveryOrder(
      [
        succeeded,
        step("closed", 60, "warning_closed"),
        step("funds_withdrawn", 90, "needs_response", [-900]),
      ],
      { ...whole, disputed: 900, outcome: "disputed" },
    );
  });

  it("that gave back a part has lost the rest", async () => {
    await expectInEveryOrder([succeeded, step("closed", 60, "lost", [-900, 400])], {
      ...whole,
      lost: 500,
      outcome: "lost",
    });
  });

  it("names only its charge, and is the payment's that the charge belongs to; so is a refund", async () => {
    const about = contest({ payment_intent: null, status: "lost", amount: 500 });
    const back = refund({
      id: "re_ExampleOld",
      created: NOW + 60,
      amount: 400,
      charge: paid.id,
      payment_intent: null,
    });
    const events = [
      collected,
      succeeded,
      told("charge.dispute.created", NOW + 60, about),
      told("refund.created", NOW + 60, back),
    ];
    await expectInEveryOrder(events, { ...whole, refunded: 400, lost: 500, outcome: "lost" });
    const [row] = await database.sql`
      select count(*) filter (where payment_id like 'ch%')::integer as astray from (
        select payment_id from billing.disputes union all select payment_id from billing.refunds
      ) as taken where payment_id like '%ExampleNever%' or payment_id in (select latest_charge from billing.payments where id like 'pi%')
    `;
    expect(row).toEqual({ astray: 0 });
  });

  it("of a part leaves the rest, also beside a refund", async () => {
    const part = contest({ amount: 500, status: "lost" });
    await expectInEveryOrder(
      [
        succeeded,
        told("refund.created", NOW + 60, given("Half", 400)),
        told("charge.dispute.closed", NOW + 90, part),
      ],
      { ...whole, refunded: 400, lost: 500, outcome: "lost" },
    );
  });

  it("that is an inquiry takes nothing", async () => {
    const asked = contest({ status: "warning_needs_response" });
    await expectInEveryOrder([succeeded, told("charge.dispute.created", NOW + 60, asked)], whole);
  });

  it("in the bank's own currency is over all of the payment", async () => {
    const abroad = contest({ currency: "usd", amount: 1012, status: "lost" });
    await expectInEveryOrder([succeeded, told("charge.dispute.closed", NOW + 60, abroad)], {
      ...whole,
      lost: 900,
      outcome: "lost",
    });
  });

  /** What the revenue view has of a name's payment, which came in in a currency of its own. */
  const DISPUTED_CURRENCY = "nok";
  async function revenueOf(): Promise<Record<string, unknown> | undefined> {
    const [row] = await database.sql`
      select sum(gross)::integer as received, sum(refunded)::integer as refunded, sum(disputed)::integer as disputed,
        sum(lost)::integer as lost
      from billing.revenue where currency = ${DISPUTED_CURRENCY}`;
    return row;
  }
  const part = (name: string, status: string, values: object = {}) =>
    told(
      "charge.dispute.updated",
      NOW + 3600,
      contest({ id: `du_Example${name}`, amount: 500, currency: "usd", status, ...values }),
    );
  const inNok = told("charge.succeeded", NOW, { ...paid, currency: DISPUTED_CURRENCY });
  const refundInNok = told("refund.created", NOW + 60, {
    ...given("Half", 400),
    currency: DISPUTED_CURRENCY,
  });

  it.each<[string, StripeEvent[], object]>([
    ["both lost", [part("One", "lost"), part("Two", "lost")], { lost: 900 }],
    ["both open", [part("One", "needs_response"), part("Two", "under_review")], { disputed: 900 }],
    ["one lost and one open", [part("One", "needs_response"), part("Two", "lost")], { lost: 900 }],
    ["one lost and one won", [part("One", "won"), part("Two", "lost")], { lost: 900 }],
    [
      "both lost, a part refunded before",
      [refundInNok, part("One", "lost"), part("Two", "lost")],
      { refunded: 400, lost: 500 },
    ],
    [
      "one beside one in the payment's own currency",
      [part("One", "lost", { currency: DISPUTED_CURRENCY }), part("Two", "needs_response")],
      { lost: 500, disputed: 400 },
    ],
  ])("two in the bank's own currency take the payment once: %s", async (_what, events, expected) => {
    const before = { received: 0, refunded: 0, disputed: 0, lost: 0, ...(await revenueOf()) };
    const names = await deliverInEveryOrder(database, [inNok, ...events]);
    const amounts = { received: 900, refunded: 0, disputed: 0, lost: 0, ...expected };
    for (const name of names) expect(await money(name)).toMatchObject(amounts);
    const after = await revenueOf();
    for (const [column, amount] of Object.entries(amounts))
      expect([column, after?.[column]]).toEqual([
        column,
        Number(before[column as keyof typeof before]) + amount * names.length,
      ]);
  });

  it("of which more was withdrawn than is disputed, as of its fees, has taken what is disputed", async () => {
    await expectInEveryOrder([succeeded, step("closed", 60, "lost", [-900, -15])], {
      ...whole,
      lost: 900,
      outcome: "lost",
    });
    const abroad = contest({
      status: "lost",
      amount: 500,
      balance_transactions: moved(-560, -15).map((one) => ({ ...one, currency: "usd" })),
    });
    await expectInEveryOrder([succeeded, told("charge.dispute.closed", NOW + 60, abroad)], {
      ...whole,
      lost: 500,
      outcome: "lost",
    });
  });

  it("of a charge without a PaymentIntent is that charge's, and finds the PaymentIntent of an expanded one", async () => {
    const alone = { ...paid, payment_intent: null };
    const about = contest({ payment_intent: null });
    await expectInEveryOrder(
      [told("charge.succeeded", NOW, alone), told("charge.dispute.created", NOW + 60, about)],
      {
        ...whole,
        disputed: 900,
        outcome: "disputed",
      },
    );
    const expanded = { ...about, charge: paid } as unknown as StripeObject;
    await expectInEveryOrder([succeeded, told("charge.dispute.created", NOW + 60, expanded)], {
      ...whole,
      disputed: 900,
      outcome: "disputed",
    });
  });

  it("keeps when the money went and came and when it was closed, in any order", async () => {
    const won = { ...open, status: "won" };
    const back = told("charge.dispute.funds_reinstated", NOW + 3601, { ...won, metadata: { back: "1" } });
    for (const name of await deliverInEveryOrder(database, [opened, withdrawn, closed("won"), back])) {
      const [row] = await database.sql`
        select status, extract(epoch from funds_withdrawn_at)::integer as withdrawn,
          extract(epoch from closed_at)::integer as closed, extract(epoch from funds_reinstated_at)::integer as reinstated
        from billing.disputes where id = ${`du_${name}Bank`}
      `;
      expect(row).toEqual({
        status: "won",
        withdrawn: NOW + 61,
        closed: NOW + 3600,
        reinstated: NOW + 3601,
      });
    }
  });

  it.each([
    ["needs_response", true],
    ["under_review", true],
    ["warning_needs_response", true],
    ["warning_under_review", true],
    ["warning_closed", false],
    ["won", false],
    ["lost", false],
    ["appeal_needs_response", true],
    ["appeal_under_review", true],
    ["in_arbitration", true],
    ["prevented", false],
  ])("of status %s is open: %s", async (status, isOpen) => {
    const name = await deliver(database, [
      told("charge.dispute.updated", NOW + 60, contest({ status })),
      succeeded,
    ]);
    const [row] = await database.sql`
      select billing_private.has_open_dispute(${`cus_${name}Ada`}) as ada, billing_private.has_open_dispute('cus_nobody') as nobody
    `;
    expect(row).toEqual({ ada: isOpen, nobody: false });
  });
});

describe("refunds and disputes together", () => {
  it.each(API_VERSIONS)("leave the same of a payment in the shape of %s", async (version) => {
    const shaped = (object: object) =>
      inShapeOf(version, object as StripeObject, linksOf([])) as StripeObject;
    const events = [
      told("charge.succeeded", NOW, shaped(paid)),
      told("refund.created", NOW + 60, shaped(given("Half", 300))),
      told("charge.dispute.created", NOW + 90, shaped(contest({ amount: 200 }))),
    ];
    await expectInEveryOrder(events, { ...whole, refunded: 300, disputed: 200, outcome: "disputed" });
  });
});

describe("the audit trail", () => {
  const actions = async (name: string) =>
    (
      await database.sql<{ action: string }[]>`
        select action from billing.audit_events where event_id like ${`%\\_${name}%`} order by action
      `
    ).map(({ action }) => action);

  it("has each movement of money once: by the PaymentIntent where there is one, else by the charge", async () => {
    const alone = told("charge.succeeded", NOW, { ...paid, id: "ch_ExampleAlone", payment_intent: null });
    const name = await deliver(database, [collected, succeeded, alone]);
    expect(await actions(name)).toEqual(["charge.succeeded", "payment_intent.succeeded"]);
  });

  it("has what was taken back, and a change of it", async () => {
    const pending = { ...given("Half", 400), status: "pending" };
    const name = await deliver(database, [
      told("refund.created", NOW + 60, pending),
      told("refund.updated", NOW + 90, { ...pending, metadata: { note: "1" } }, pending),
      told("refund.updated", NOW + 120, given("Half", 400), pending),
      told("charge.dispute.created", NOW + 60, contest()),
      told("charge.dispute.updated", NOW + 90, contest({ status: "under_review" }), contest()),
      told("charge.dispute.closed", NOW + 120, contest({ status: "lost" })),
    ]);
    expect(await actions(name)).toEqual([
      "charge.dispute.closed",
      "charge.dispute.created",
      "charge.dispute.updated",
      "refund.created",
      "refund.updated",
    ]);
  });
});
