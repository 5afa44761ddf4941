import { afterEach, describe, expect, it } from "vitest";
import { NEWEST } from "../../support/old-shapes.ts";
import { DAY, HOUR, paidInvoice, paused, START, SUBSCRIPTION, ToldDatabase, told, unpaid } from "./told.ts";

let world: ToldDatabase;
afterEach(() => world.close());

const FAILED = START + HOUR;
/** The plan once began with a trial without a card, as its settings say for as long as it lives. */
const ONCE_ON_TRIAL = {
  trial_start: START - 60 * DAY,
  trial_end: START - 46 * DAY,
  trial_settings: {
    end_behavior: { billing_cycle_anchor: null, missing_payment_method: "pause" as const },
  },
};

async function becomesPaused(cause: string | undefined, at: number, values = {}): Promise<void> {
  const after = paused(cause, at, values);
  await world.tell("customer.subscription.updated", at, after, told(values));
  await world.tell("customer.subscription.paused", at, after);
  await world.sendMails(at + 60);
}

const pauseMails = async () => (await world.mails()).filter((mail) => !mail.startsWith("payment-failed"));

describe("the mail about a pause names the cause it had", () => {
  it.each([
    ["pause_requested", "subscription-paused requested"],
    ["first_payment_failure", "subscription-paused nonpayment"],
    ["final_payment_failure", "subscription-paused nonpayment"],
    ["system", "subscription-paused other"],
    ["something_stripe_adds", "subscription-paused other"],
    [undefined, "subscription-paused other"],
    ["trial_end_without_payment_method", "trial-ended-without-card paused"],
  ])("%s: %s", async (cause, mail) => {
    world = await ToldDatabase.open(told(ONCE_ON_TRIAL));
    await becomesPaused(cause, START + DAY, ONCE_ON_TRIAL);
    expect(await pauseMails()).toEqual([mail]);
    const text = await world.text(String(mail.split(" ")[0]));
    expect(text).not.toBe("");
    if (!mail.startsWith("trial-ended")) expect(text).not.toMatch(/trial/i);
    if (mail.endsWith("other")) expect(text).not.toMatch(/payment|you decide/i);
  });

  it("a version that names no cause: a trial that ended at that time is the cause", async () => {
    const ending = {
      trial_start: START - 14 * DAY,
      trial_end: START,
      trial_settings: ONCE_ON_TRIAL.trial_settings,
    };
    world = await ToldDatabase.open(told({ ...ending, status: "trialing" }), "2024-09-30.acacia");
    await becomesPaused(undefined, START + 5, ending);
    expect(await pauseMails()).toEqual(["trial-ended-without-card paused"]);
  });

  it("none about an open payment that has been paid meanwhile", async () => {
    world = await ToldDatabase.open();
    await world.fail();
    const since = FAILED + 2;
    await world.tell("invoice.paid", since + 60, paidInvoice(unpaid(), since + 60));
    const after = paused("first_payment_failure", since);
    await world.tell("customer.subscription.updated", since, after, told({ status: "past_due" }));
    await world.tell("customer.subscription.paused", since, after);
    expect(await pauseMails()).not.toContain("subscription-paused nonpayment");
  });
});

describe.each(["first_payment_failure", "final_payment_failure"])("paused by Stripe for %s", (cause) => {
  it("a case goes on, promises no access, and can end", async () => {
    world = await ToldDatabase.open();
    await world.fail();
    await becomesPaused(cause, FAILED + 2);
    expect(await world.features()).toEqual([]);
    const counts: Record<string, number>[] = [];
    for (const day of [0, 3, 7, 11]) {
      counts.push(await world.evaluate(FAILED + day * DAY + 2 * HOUR));
      await world.sendMails(FAILED + day * DAY + 2 * HOUR);
    }
    const heard = await world.mails();
    expect(heard).toEqual([
      "subscription-paused nonpayment",
      "payment-failed-notice",
      "payment-failed-urgent",
      "payment-failed-final",
    ]);
    for (const template of heard.slice(1)) {
      expect(await world.text(template)).not.toMatch(/keeps working|keep working/i);
    }
    expect(counts.at(-1)).toMatchObject({ ends: 1 });
  });

  it("where the policy would pause it at its end there is nothing left to take, and no mail threatens with it", async () => {
    world = await ToldDatabase.open();
    await world.database.asService(
      (sql) =>
        sql`select billing.define_dunning_policy('default', '[{"day": 0, "kind": "notice"}, {"day": 3, "kind": "final_warning"}, {"day": 7, "kind": "end"}]', 'pause')`,
    );
    await world.fail();
    await becomesPaused(cause, FAILED + 2);
    for (const day of [0, 3, 8]) {
      await world.evaluate(FAILED + day * DAY + 2 * HOUR);
      await world.sendMails(FAILED + day * DAY + 2 * HOUR);
    }
    expect(await world.text("payment-failed-final")).not.toMatch(/will be paused/);
    expect(await world.cases()).toMatchObject([{ status: "closed", outcome: "ended" }]);
    expect((await world.mails()).filter((mail) => mail.startsWith("subscription-paused"))).toHaveLength(1);
  });
});

describe("what was paid of it", () => {
  const planned = () =>
    world.database.sql<
      { status: string; wait: number }[]
    >`select status, extract(epoch from due_at - decided_at)::int as wait from billing.dunning_resumptions order by id`;

  it.each(["first_payment_failure", "final_payment_failure"])(
    "%s: resumes, after an hour in which Stripe may do it by itself",
    async (cause) => {
      world = await ToldDatabase.open();
      await world.fail();
      await becomesPaused(cause, FAILED + 2);
      await world.tell("invoice.paid", FAILED + DAY, paidInvoice(unpaid(), FAILED + DAY));
      expect(await planned()).toEqual([{ status: "planned", wait: 3600 }]);
    },
  );

  it("also where the payment became known before the pause", async () => {
    world = await ToldDatabase.open();
    await world.fail();
    await world.tell("invoice.paid", FAILED + DAY, paidInvoice(unpaid(), FAILED + DAY));
    await becomesPaused("first_payment_failure", FAILED + 2);
    expect(await planned()).toEqual([{ status: "planned", wait: 3600 }]);
  });

  it("not while another invoice of it is overdue, and then once", async () => {
    world = await ToldDatabase.open();
    await world.fail();
    const other = unpaid({ id: "in_Other" });
    await world.fail(other, FAILED + 1);
    await becomesPaused("final_payment_failure", FAILED + 2);
    await world.tell("invoice.paid", FAILED + DAY, paidInvoice(unpaid(), FAILED + DAY));
    expect(await planned()).toEqual([]);
    await world.tell("invoice.paid", FAILED + 2 * DAY, paidInvoice(other, FAILED + 2 * DAY));
    await world.tell("invoice.updated", FAILED + 2 * DAY, paidInvoice(other, FAILED + 2 * DAY), other);
    expect(await planned()).toHaveLength(1);
  });

  it("once a person lets go of what else was owed", async () => {
    world = await ToldDatabase.open();
    await world.fail();
    const other = unpaid({ id: "in_Other" });
    await world.fail(other, FAILED + 1);
    await becomesPaused("final_payment_failure", FAILED + 2);
    await world.tell("invoice.paid", FAILED + DAY, paidInvoice(unpaid(), FAILED + DAY));
    expect(await planned()).toEqual([]);
    await world.database.asService(
      (sql) =>
        sql`select billing.close_dunning(id, 'agreed') from billing.dunning_cases where status = 'open'`,
    );
    expect(await planned()).toHaveLength(1);
  });

  it.each([
    { what: "the pause first", order: ["pause", "payment"] },
    { what: "the payment first", order: ["payment", "pause"] },
  ])("in the same second as the pause, $what: the same", async ({ order }) => {
    world = await ToldDatabase.open();
    await world.fail();
    const at = FAILED + 2;
    const news: Record<string, () => Promise<void>> = {
      pause: () => becomesPaused("first_payment_failure", at),
      payment: () => world.tell("invoice.payment_succeeded", at, paidInvoice(unpaid(), at)),
    };
    for (const step of order) await news[step]?.();
    expect(await planned()).toEqual([{ status: "planned", wait: 3600 }]);
  });

  it.each(["pause_requested", "system", "trial_end_without_payment_method", undefined])(
    "%s: never ours to resume",
    async (cause) => {
      world = await ToldDatabase.open(told(), cause === undefined ? "2024-09-30.acacia" : NEWEST);
      await world.fail();
      await becomesPaused(cause, FAILED + 2);
      await world.tell("invoice.paid", FAILED + DAY, paidInvoice(unpaid(), FAILED + DAY));
      expect(await planned()).toEqual([]);
    },
  );

  it.each([
    { first: "the payment", order: ["paid", "active", "resumed"] },
    { first: "the subscription's update", order: ["active", "paid", "resumed"] },
    { first: "the resumption", order: ["active", "resumed", "paid"] },
  ])("one mail, not two, where Stripe resumes it by itself and $first comes first", async ({ order }) => {
    world = await ToldDatabase.open();
    await world.fail();
    await world.evaluate(FAILED + HOUR);
    await world.sendMails(FAILED + HOUR);
    await becomesPaused("final_payment_failure", FAILED + 5 * HOUR);
    const at = FAILED + DAY;
    const news: Record<string, () => Promise<void>> = {
      paid: () => world.tell("invoice.paid", at, paidInvoice(unpaid(), at)),
      active: () =>
        world.tell(
          "customer.subscription.updated",
          at + 1,
          told(),
          paused("final_payment_failure", FAILED + 5 * HOUR),
        ),
      resumed: () => world.tell("customer.subscription.resumed", at + 1, told()),
    };
    for (const step of order) await news[step]?.();
    await world.sendMails(at + 60);
    const happy = (await world.mails()).filter((mail) => /recovered|resumed/.test(mail));
    expect(happy).toHaveLength(1);
    expect(await world.cases()).toMatchObject([{ outcome: "recovered", subject_id: SUBSCRIPTION }]);
  });
});

describe("an invoice that resuming makes", () => {
  const NEW = "in_New";

  it.each([
    { title: "and that is paid", status: "active" },
    { title: "and that is not", status: "paused" },
  ])("is alerted, $title", async ({ status }) => {
    world = await ToldDatabase.open();
    await world.fail();
    const since = FAILED + 2;
    await becomesPaused("final_payment_failure", since);
    await world.tell("invoice.paid", FAILED + DAY, paidInvoice(unpaid(), FAILED + DAY));
    const call = async (statement: string) => {
      const [row] = await world.database.asService((sql) =>
        sql.unsafe(`select billing.${statement} as answer`),
      );
      return row?.answer;
    };
    expect(await call(`review_resumption(1, array['${SUBSCRIPTION}', 'in_Told'])`)).toMatchObject({
      go: true,
      calls: ["resume_subscription"],
    });
    expect(await call("finish_resumption(1)")).toBe("not_resumed");
    const before = paused("final_payment_failure", since);
    await world.tell(
      "customer.subscription.updated",
      FAILED + DAY + HOUR,
      status === "paused" ? { ...before, latest_invoice: NEW } : told({ latest_invoice: NEW }),
      before,
    );
    expect(await call("finish_resumption(1)")).toBe("done");
    expect(await call("finish_resumption(1)")).toBe("done");
    const alerts = await world.database.sql`
      select payload from billing.outbox where kind = 'alert' and payload ->> 'cause' = 'resumed_with_invoice'`;
    expect(alerts).toMatchObject([{ payload: { subscription: SUBSCRIPTION, invoice: NEW } }]);
  });

  it("a resumption that does not exist is refused", async () => {
    world = await ToldDatabase.open();
    await expect(
      world.database.asService((sql) => sql`select billing.review_resumption(7)`),
    ).rejects.toMatchObject({ code: "DU054" });
  });
});
