import { afterEach, describe, expect, it } from "vitest";
import { DAY, HOUR, INVOICE, paidInvoice, START, SUBSCRIPTION, ToldDatabase, told, unpaid } from "./told.ts";

let world: ToldDatabase;
afterEach(() => world.close());

const ENDED = START + 10 * DAY;
const FAILED = ENDED + HOUR + 1;
const FINAL = "in_Final";

/** The invoice over the usage up to the end, as it is once its first attempt has failed. */
const finalBill = (values: Parameters<typeof unpaid>[0] = {}) =>
  unpaid({ id: FINAL, created: ENDED + 1, next_payment_attempt: FAILED + 3 * DAY, ...values });
const ended = (reason: string, values: Parameters<typeof told>[0] = {}) =>
  told({
    status: "canceled",
    canceled_at: ENDED,
    ended_at: ENDED,
    cancellation_details: { comment: null, feedback: null, feedback_option: null, reason: reason as never },
    ...values,
  });

const news = {
  end: (reason = "cancellation_requested") =>
    world.tell("customer.subscription.deleted", ENDED, ended(reason)),
  failure: (values: Parameters<typeof unpaid>[0] = {}) =>
    world.tell("invoice.payment_failed", FAILED, finalBill(values)),
};

async function ladder(): Promise<void> {
  for (const day of [0, 3, 7, 8, 10, 11, 20]) {
    await world.evaluate(FAILED + day * DAY + HOUR);
    await world.sendMails(FAILED + day * DAY + HOUR);
  }
}
const failureMails = async () => (await world.mails()).filter((mail) => mail.startsWith("payment-failed"));
const steps = () =>
  world.database.sql<
    { step: string }[]
  >`select kind || ' ' || status as step from billing.dunning_actions order by id`;

describe("a final invoice that fails after its subscription has ended", () => {
  it.each([
    { title: "the end is heard of first", order: ["end", "failure"] as const },
    { title: "the failure is heard of first", order: ["failure", "end"] as const },
  ])("is a debt of its own: notice and reminder, no warning and no end ($title)", async ({ order }) => {
    world = await ToldDatabase.open();
    for (const which of order) await news[which]();
    await ladder();
    expect(await failureMails()).toEqual(["payment-failed-notice", "payment-failed-urgent"]);
    for (const template of await failureMails()) {
      expect(await world.text(template)).not.toMatch(/ends on|will be paused|subscription continues/i);
      expect(await world.text(template)).toContain("Studio");
    }
    expect((await steps()).map(({ step }) => step)).toEqual([
      "notice sent",
      "urgent_reminder sent",
      "final_warning skipped",
      "end skipped",
    ]);
    expect(await world.cases()).toMatchObject([{ subject_id: FINAL, status: "open", amount_due: 2000 }]);
    const [note] = await world.database.sql`
      select note from billing.dunning_actions where kind = 'final_warning'`;
    expect(note?.note).toContain("has ended already");
    const risk = await world.database.asService(
      (sql) => sql`select cases::int, amount::int from billing.revenue_at_risk`,
    );
    expect(risk).toEqual([{ cases: 1, amount: 2000 }]);
    const owed = await world.database
      .sql`select count(*)::int as n from billing.outbox where dedupe_key like 'dunning-end:%'`;
    expect(owed).toEqual([{ n: 0 }]);
  });

  it.each(["cancellation_requested", "payment_failed", "payment_disputed"])(
    "whoever ended it: %s",
    async (reason) => {
      world = await ToldDatabase.open();
      await news.end(reason);
      await news.failure();
      expect(await world.cases()).toMatchObject([{ subject_id: FINAL, status: "open" }]);
    },
  );

  it("after dunning itself has canceled, beside what that left behind", async () => {
    world = await ToldDatabase.open();
    await world.fail();
    for (const day of [0, 3, 7]) {
      await world.evaluate(START + HOUR + day * DAY + HOUR);
      await world.sendMails(START + HOUR + day * DAY + HOUR);
    }
    const [known] = await world.database.sql<{ id: string }[]>`select id from billing.dunning_cases`;
    await world.tell(
      "customer.subscription.deleted",
      ENDED,
      ended("cancellation_requested", { metadata: { duebase_dunning_case: String(known?.id) } }),
    );
    await news.failure();
    expect(await world.cases()).toMatchObject([
      { subject_id: SUBSCRIPTION, status: "closed" },
      { subject_id: FINAL, status: "open", amount_due: 2000 },
    ]);
  });

  it("shows in the banner as something to pay, with nothing that ends", async () => {
    world = await ToldDatabase.open();
    await news.end();
    await news.failure();
    const [owner] = await world.database.sql<{ id: string }[]>`
      select owner_id as id from billing.customers where owner_id is not null`;
    const [shown] = await world.database.sql.begin(async (sql) => {
      await sql`select set_config('request.jwt.claims', ${JSON.stringify({ sub: owner?.id, role: "authenticated" })}, true)`;
      await sql`set local role authenticated`;
      return sql`select * from billing.my_billing_status(${new Date((FAILED + DAY) * 1000)})`;
    });
    expect(shown).toMatchObject({
      invoice: FINAL,
      amount_due: "2000",
      product_name: "Studio",
      subscription: null,
      end_action: null,
      ends_at: null,
    });
  });

  it("paid, it is recovered, and the mail says nothing of a subscription that goes on", async () => {
    world = await ToldDatabase.open();
    await news.end();
    await news.failure();
    await world.evaluate(FAILED + HOUR);
    await world.sendMails(FAILED + HOUR);
    await world.tell("invoice.paid", FAILED + DAY, paidInvoice(finalBill(), FAILED + DAY));
    await world.sendMails(FAILED + DAY + 60);
    expect(await world.cases()).toMatchObject([{ outcome: "recovered", amount_recovered: 2000 }]);
    expect(await world.text("payment-recovered")).not.toMatch(/continues/);
  });
});

describe("leftovers of before the end", () => {
  it.each(["end", "failure"] as const)("are not dunned, if the %s becomes known first", async (first) => {
    world = await ToldDatabase.open();
    const before = { created: ENDED - HOUR };
    for (const which of first === "end" ? (["end", "failure"] as const) : (["failure", "end"] as const)) {
      await (which === "end" ? news.end() : news.failure(before));
    }
    await ladder();
    expect((await world.cases()).filter(({ status }) => status === "open")).toEqual([]);
  });

  it("beside a final invoice: each is what it is", async () => {
    world = await ToldDatabase.open();
    await world.fail();
    await news.failure();
    await news.end();
    await world.evaluate(FAILED + HOUR);
    expect(await world.cases()).toMatchObject([
      { subject_id: SUBSCRIPTION, status: "closed", outcome: "subscription_ended" },
      { subject_id: FINAL, status: "open" },
    ]);
    const [left] = await world.database.sql`
      select c.status from billing.dunning_case_invoices as k join billing.dunning_cases as c on c.id = k.case_id
      where k.invoice = ${INVOICE}`;
    expect(left).toMatchObject({ status: "closed" });
  });
});
