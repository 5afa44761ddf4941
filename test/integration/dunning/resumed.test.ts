import type Stripe from "stripe";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import type { FaultAction } from "../../../scripts/local/stripe/http/faults.ts";
import { alertText } from "../../../supabase/functions/duebase-deliver/effects/alert.ts";
import { DunningWorld, type Subscriber } from "../../support/dunning-world.ts";
import { alerts, asService, caseOf, days, done, hours, mails, openInvoice, wearOut } from "./overdue.ts";

let world: DunningWorld;
beforeEach(async () => {
  world = await DunningWorld.open();
});
afterEach(() => world.close());

const LADDER = `[{"day": 0, "kind": "notice"}, {"day": 3, "kind": "final_warning"}, {"day": 6, "kind": "end"}]`;
const PAUSED = "subscription-paused";
const RESUMED = "subscription-resumed";

type Mode = "classic" | "flexible";

/** Somebody with a feature whose subscription the policy has just paused. */
async function pausedSubscriber(mode: Mode): Promise<Subscriber & { user: string }> {
  await asService(world, `billing.define_dunning_policy('rests', '${LADDER}', 'pause')`);
  const somebody = await world.subscribe({ params: { billing_mode: { type: mode } } });
  const user = await world.database.signUp({ email: `user-of-${somebody.email}` });
  await world.stripe.customers.update(somebody.customer, { metadata: { owner_id: user } });
  const { items } = await world.stripe.subscriptions.retrieve(somebody.subscription);
  await world.stripe.products.update(String(items.data[0]?.price.product), {
    metadata: { features: "reports" },
  });
  await world.arrive();
  await asService(world, "billing.assign_dunning_policy('customer', $1, 'rests')", somebody.customer);
  await world.breakCard(somebody);
  await world.renew(somebody);
  await days(world, 7);
  expect(mails(world, somebody).at(-1)).toBe(PAUSED);
  return { ...somebody, user };
}

const features = async (user: string) =>
  (await world.database.sql`select feature from billing.entitlements where owner_id = ${user}`).map(
    ({ feature }) => feature,
  );
const now = ({ subscription }: Subscriber): Promise<Stripe.Subscription> =>
  world.stripe.subscriptions.retrieve(subscription);
const happy = (somebody: Subscriber) =>
  mails(world, somebody).filter((mail) => /recovered|resumed/.test(mail));
const resumptions = async () =>
  (
    await world.database.sql<{ status: string }[]>`select status from billing.dunning_resumptions order by id`
  ).map(({ status }) => status);

/** The open invoice is paid with a new card; nothing has been told of it yet. */
async function payWithNewCard(somebody: Subscriber): Promise<void> {
  const { id } = await openInvoice(world, somebody);
  const card = await world.stripe.paymentMethods.attach("pm_card_mastercard", {
    customer: somebody.customer,
  });
  await world.stripe.customers.update(somebody.customer, {
    invoice_settings: { default_payment_method: card.id },
  });
  await world.stripe.invoices.pay(String(id), { payment_method: card.id });
}

describe.each<Mode>(["classic", "flexible"])("what the end of a case paused (%s billing)", (mode) => {
  it("goes on once it is paid: at Stripe, in access, and in one mail", async () => {
    const somebody = await pausedSubscriber(mode);
    const paused = await now(somebody);
    expect(paused.status === "paused").toBe(mode === "flexible");
    expect(Boolean(paused.pause_collection)).toBe(mode === "classic");
    expect(await features(somebody.user)).toEqual([]);
    expect(await caseOf(world, somebody.subscription)).toMatchObject({ outcome: "ended" });

    await payWithNewCard(somebody);
    await hours(world, 1);
    const running = await now(somebody);
    expect(running).toMatchObject({ status: "active", pause_collection: null });
    expect(await features(somebody.user)).toEqual(["reports"]);
    expect(await resumptions()).toEqual(["done"]);
    await days(world, 3);
    expect(happy(somebody)).toEqual([RESUMED]);
    expect(mails(world, somebody).filter((mail) => mail === PAUSED)).toHaveLength(1);
  });

  it("and the mail names the price, but none where only the id of a discount is known", async () => {
    const somebody = await pausedSubscriber(mode);
    await payWithNewCard(somebody);
    const another = await pausedSubscriber(mode);
    const { id: coupon } = await world.stripe.coupons.create({ percent_off: 25, duration: "forever" });
    await world.stripe.subscriptions.update(another.subscription, { discounts: [{ coupon }] });
    await payWithNewCard(another);
    await hours(world, 1);
    const priceToldTo = async ({ subscription }: Subscriber) => {
      const told = await world.database.sql<{ price: unknown }[]>`
        select payload #> '{props,price}' as price from billing.outbox
        where payload ->> 'template' = ${RESUMED} and payload ->> 'subscription' = ${subscription}`;
      return told.map(({ price }) => price);
    };
    expect(await priceToldTo(somebody)).toMatchObject([{ amount: 2000, currency: "usd", interval: "month" }]);
    expect(await priceToldTo(another)).toEqual([null]);
  });

  it("once, however often the way there is cut off", async () => {
    const somebody = await pausedSubscriber(mode);
    await payWithNewCard(somebody);
    const points = ["end_reviewed", "call_made", "answer_applied", "end_finished"];
    for (const point of points) {
      world.parts.reach = (reached) => {
        if (reached === point) throw new Error(`cut off at ${point}`);
        return Promise.resolve();
      };
      await hours(world, 2);
    }
    world.parts.reach = undefined;
    await days(world, 2);
    expect(await now(somebody)).toMatchObject({ status: "active", pause_collection: null });
    expect(happy(somebody)).toEqual([RESUMED]);
    expect(await features(somebody.user)).toEqual(["reports"]);
    expect((await resumptions()).filter((status) => status === "planned")).toEqual([]);
  });

  it("not by us where a person was first, and the mail leaves all the same", async () => {
    const somebody = await pausedSubscriber(mode);
    if (mode === "classic")
      await world.stripe.subscriptions.update(somebody.subscription, { pause_collection: "" });
    else
      await world.stripe.subscriptions.resume(somebody.subscription, {
        billing_cycle_anchor: { type: "unchanged" },
        proration_behavior: "none",
      });
    await hours(world, 1);
    expect(await features(somebody.user)).toEqual(["reports"]);
    expect(happy(somebody)).toEqual([RESUMED]);
    const open = await world.stripe.invoices.list({ subscription: somebody.subscription, status: "open" });
    if (open.data.length > 0) await payWithNewCard(somebody);
    await days(world, 1);
    expect(happy(somebody)).toEqual([RESUMED]);
    expect(await resumptions()).toEqual([]);
  });

  it("not where it was canceled meanwhile", async () => {
    const somebody = await pausedSubscriber(mode);
    await world.stripe.subscriptions.cancel(somebody.subscription);
    const { data } = await world.stripe.invoices.list({ customer: somebody.customer, status: "open" });
    for (const { id } of data) await world.stripe.invoices.pay(id, { paid_out_of_band: true });
    await days(world, 2);
    expect(await now(somebody)).toMatchObject({ status: "canceled" });
    expect(happy(somebody)).toEqual([]);
    expect(await features(somebody.user)).toEqual([]);
  });

  it("not where the debt was voided, as nothing was paid", async () => {
    const somebody = await pausedSubscriber(mode);
    await world.stripe.invoices.voidInvoice(String((await openInvoice(world, somebody)).id));
    await days(world, 1);
    expect(happy(somebody)).toEqual([]);
    expect(await features(somebody.user)).toEqual([]);
    expect(await resumptions()).toEqual([]);
  });
});

describe("a pause of another cause", () => {
  it("that is requested long after dunning's own is over is mailed as requested, and is not resumed by Duebase", async () => {
    const somebody = await pausedSubscriber("flexible");
    await payWithNewCard(somebody);
    await hours(world, 1);
    expect(happy(somebody)).toEqual([RESUMED]);
    await days(world, 2);
    await world.stripe.subscriptions.pause(somebody.subscription, { type: "subscription" });
    await hours(world, 1);
    await days(world, 2);
    expect(await now(somebody)).toMatchObject({ status: "paused" });
    const texts = await world.database.sql<{ text: string }[]>`
      select text from billing.emails where template = ${PAUSED} order by outbox_id desc limit 1`;
    expect(texts[0]?.text).not.toMatch(/still (open|due)/);
    expect(await resumptions()).toEqual(["done"]);
    expect(await features(somebody.user)).toEqual([]);
  });
});

describe("what Stripe paused for non-payment", () => {
  async function pausedByStripe(settings: NonNullable<Parameters<typeof DunningWorld.open>[1]>) {
    await world.close();
    world = await DunningWorld.open(undefined, settings);
    const somebody = await world.subscribe({ params: { billing_mode: { type: "flexible" } } });
    await world.arrive();
    await world.breakCard(somebody);
    await world.renew(somebody);
    expect(await now(somebody)).toMatchObject({ status: "paused" });
    await days(world, 1);
    return somebody;
  }

  it("goes on an hour after it is paid where Stripe has not resumed it", async () => {
    const somebody = await pausedByStripe({ afterFirstFailure: "pause" });
    await payWithNewCard(somebody);
    await world.arrive();
    await world.deliver();
    expect(await now(somebody)).toMatchObject({ status: "paused" });
    await hours(world, 1);
    expect(await now(somebody)).toMatchObject({ status: "active" });
    await days(world, 1);
    expect(happy(somebody)).toEqual([RESUMED]);
    expect(await resumptions()).toEqual(["done"]);
  });

  it("is left to Stripe where it has", async () => {
    const somebody = await pausedByStripe({ afterFirstFailure: "pause", resumeWhenPaid: "unchanged" });
    await payWithNewCard(somebody);
    await world.arrive();
    await world.deliver();
    expect(await now(somebody)).toMatchObject({ status: "active" });
    await days(world, 1);
    expect(happy(somebody)).toHaveLength(1);
    expect(await resumptions()).not.toContain("done");
    expect(done(world, "subscription.resumed", somebody.subscription)).toBe(1);
  });
});

describe("a resumption that comes to nothing", () => {
  const RESUMING = { method: "POST", path: /^\/v1\/subscriptions\/sub_\w+\/resume$/ };
  const forEver = Number.POSITIVE_INFINITY;

  /** Paid, and Stripe has something against resuming it, for as many tries as there are. */
  async function paidInVain(action: FaultAction): Promise<Subscriber> {
    const somebody = await pausedSubscriber("flexible");
    world.local.faults.add({ match: RESUMING, action, times: forEver });
    await payWithNewCard(somebody);
    await hours(world, 1);
    await wearOut(world, "resume:");
    await hours(world, 2);
    return somebody;
  }

  it("of an outage, however long, waits for its end", async () => {
    const somebody = await paidInVain({ kind: "reset" });
    await days(world, 9);
    expect(await resumptions()).toEqual(["planned"]);
    world.local.faults.clear();
    await days(world, 1);
    expect(await resumptions()).toEqual(["done"]);
    expect(happy(somebody)).toEqual([RESUMED]);
  });

  it("as Stripe fails time after time, is alerted, and planned again by the day's run, once a day", async () => {
    const somebody = await paidInVain({ kind: "error", status: 500 });
    expect(await resumptions()).toEqual(["failed"]);
    expect(await alerts(world)).toContain("dead_effect");
    // What else is heard of it, as often as it may be, brings no other before.
    await world.stripe.subscriptions.update(somebody.subscription, { metadata: { note: "seen" } });
    await hours(world, 1);
    expect(await resumptions()).toEqual(["failed"]);
    for (const failed of [2, 3]) {
      await days(world, 1);
      await wearOut(world, "resume:");
      await hours(world, 2);
      expect(await resumptions()).toEqual(Array(failed).fill("failed"));
    }
    world.local.faults.clear();
    await days(world, 2);
    expect(await resumptions()).toEqual(["failed", "failed", "failed", "done"]);
    expect(await now(somebody)).toMatchObject({ status: "active" });
    expect(happy(somebody)).toEqual([RESUMED]);
    expect(done(world, "subscription.resumed", somebody.subscription)).toBe(1);
  });

  it("that Stripe refuses stays refused, and an alert says what to do; a replay resumes it", async () => {
    const somebody = await paidInVain({ kind: "error", status: 400, message: "not now" });
    await days(world, 3);
    expect(await resumptions()).toEqual(["refused"]);
    const [alert] = await world.database.sql<{ payload: Record<string, unknown> }[]>`
      select payload from billing.outbox where payload ->> 'cause' = 'resumption_refused'`;
    expect(alert?.payload).toMatchObject({ subscription: somebody.subscription, error: "not now" });
    expect(alertText(alert?.payload)).toMatch(/dashboard.*replay_outbox/);
    expect(happy(somebody)).toEqual([]);

    world.local.faults.clear();
    await asService(world, "billing.replay_outbox($1, $2)", alert?.payload.outbox_id, world.now);
    expect(await resumptions()).toEqual(["planned"]);
    await hours(world, 1);
    expect(await resumptions()).toEqual(["done"]);
    expect(await now(somebody)).toMatchObject({ status: "active" });
    expect(happy(somebody)).toEqual([RESUMED]);
  });

  it("as its events are lost, is planned by the day's run", async () => {
    const somebody = await pausedSubscriber("flexible");
    await payWithNewCard(somebody);
    await world.arrive();
    // As if neither the payment nor the pause had told: what is known is the same.
    await world.database.sql`delete from billing.dunning_resumptions`;
    await world.database.sql`delete from billing.outbox where payload ? 'resume'`;
    await days(world, 1);
    await days(world, 1);
    expect(await resumptions()).toEqual(["done"]);
    expect(await now(somebody)).toMatchObject({ status: "active" });
  });
});

it("a subscription that was paused and paid at the same time is resumed, and no operator is needed", async () => {
  await asService(world, `billing.define_dunning_policy('rests', '${LADDER}', 'pause')`);
  const somebody = await world.subscribe({ params: { billing_mode: { type: "flexible" } } });
  await world.arrive();
  await asService(world, "billing.assign_dunning_policy('customer', $1, 'rests')", somebody.customer);
  await world.breakCard(somebody);
  await world.renew(somebody);
  let paid = false;
  world.parts.reach = async (point) => {
    if (point !== "call_made" || paid || done(world, "subscription.paused", somebody.subscription) === 0)
      return;
    paid = true;
    await payWithNewCard(somebody);
  };
  await days(world, 8);
  expect(paid).toBe(true);
  expect(await now(somebody)).toMatchObject({ status: "active" });
  expect(mails(world, somebody).filter((mail) => !mail.startsWith("payment-failed"))).toEqual([
    "payment-recovered",
  ]);
  expect(await alerts(world)).not.toContain("paid_while_ending");
  expect(await caseOf(world, somebody.subscription)).toMatchObject({ outcome: "recovered" });
});
