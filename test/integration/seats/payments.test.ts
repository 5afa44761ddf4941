import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { SeatsWorld, type Team } from "../../support/seats-world.ts";

// Minutes of this world take seconds on a busy machine.
vi.setConfig({ testTimeout: 120_000 });

let seats: SeatsWorld;
let team: Team;
let manager: string;
let member: string;
beforeEach(async () => {
  seats = await SeatsWorld.open();
  await seats.world.database.sql`update billing.settings set seats_proration = 'always_invoice' where id`;
});
afterEach(() => seats.close());

/** A team of two whose next payment is declined; the first is its manager. */
async function declined(own = false): Promise<void> {
  team = await seats.subscribedTeam(2);
  if (own) {
    await seats.world.stripe.subscriptions.update(team.subscription, { default_payment_method: team.card });
    await seats.minutes(3);
  }
  const rows = await seats.world.database.sql<{ user_id: string }[]>`
    select user_id from public.members where team_id = ${team.id}`;
  [manager = "", member = ""] = rows.map(({ user_id }) => user_id);
  await seats.world.database.sql`update public.members set role = 'admin' where user_id = ${manager}`;
  await seats.breakCard(team.card);
  await seats.join(team.id);
  await seats.minutes(3);
}

const status = (user: string) =>
  seats.world.database.asUser(
    user,
    (sql) => sql`
      select reason, seats::int, seats_paid::int, amount_due, hosted_invoice_url is not null as can_be_paid, has_access
      from billing.my_billing_status(${seats.world.now})`,
  );
const charges = async () => {
  const { data } = await seats.world.stripe.charges.list({ customer: team.customer, limit: 100 });
  return { paid: data.filter(({ paid }) => paid).length, declined: data.filter(({ paid }) => !paid).length };
};
const cases = () => seats.world.database.sql`select from billing.dunning_cases`;

describe("a declined change", () => {
  it("is no debt: the plan runs on, no case opens, and managers are told what waits", async () => {
    await declined();
    expect(await seats.atStripe(team.subscription)).toBe(2);
    expect(await seats.shown(team.id)).toMatchObject({ quantity: 3, stripe_quantity: 2, status: "declined" });
    expect(await cases()).toHaveLength(0);
    expect(await status(manager)).toEqual([
      {
        reason: "seats_declined",
        seats: 3,
        seats_paid: 2,
        amount_due: null,
        can_be_paid: true,
        has_access: true,
      },
    ]);
    expect(await status(member)).toEqual([]);
    expect(await seats.alerts()).not.toContain("seats_not_paid");
    // It is not tried again by itself.
    await seats.hours(3);
    expect(await charges()).toEqual({ paid: 1, declined: 1 });
    expect(seats.changes(team.subscription)).toHaveLength(1);
  });

  it("expires after 23 hours: the banner and an alert say so, and nothing is owed", async () => {
    await declined();
    await seats.hours(24);
    expect(await seats.shown(team.id)).toMatchObject({ quantity: 3, stripe_quantity: 2, status: "expired" });
    expect(await status(manager)).toMatchObject([
      { reason: "seats_expired", seats: 3, seats_paid: 2, can_be_paid: false },
    ]);
    expect((await seats.alerts()).filter((cause) => cause === "seats_not_paid")).toHaveLength(1);
    expect(await cases()).toHaveLength(0);
    const { data } = await seats.world.stripe.invoices.list({ subscription: team.subscription });
    expect(data.map((invoice) => invoice.status).sort()).toEqual(["paid", "void"]);
    expect(seats.changes(team.subscription)).toHaveLength(1);
  });

  it("is tried again with a new card, while it waits", async () => {
    await declined();
    await seats.newCard(team.customer);
    await seats.minutes(3);
    expect(await seats.atStripe(team.subscription)).toBe(3);
    expect(await seats.shown(team.id)).toMatchObject({ status: "same" });
    expect(await status(manager)).toEqual([]);
    expect(await charges()).toEqual({ paid: 2, declined: 1 });
  });

  it("is tried again with a new card, after it has expired", async () => {
    await declined();
    await seats.hours(24);
    await seats.newCard(team.customer);
    await seats.minutes(3);
    expect(await seats.atStripe(team.subscription)).toBe(3);
    expect(await seats.shown(team.id)).toMatchObject({ status: "same" });
    expect(await charges()).toEqual({ paid: 2, declined: 1 });
  });

  it("is paid with the customer's new card where the subscription keeps its own, and that becomes its default", async () => {
    await declined(true);
    const card = await seats.newCard(team.customer);
    await seats.minutes(4);
    expect(await seats.atStripe(team.subscription)).toBe(3);
    expect((await seats.world.stripe.subscriptions.retrieve(team.subscription)).default_payment_method).toBe(
      card,
    );
    expect(await seats.shown(team.id)).toMatchObject({ status: "same" });
  });

  it("is not tried again with a card that is declined too, until there is another one", async () => {
    await declined();
    await seats.newCard(team.customer, "insufficient_funds");
    await seats.minutes(6);
    expect(await seats.shown(team.id)).toMatchObject({ status: "declined" });
    expect(await charges()).toEqual({ paid: 1, declined: 2 });
    await seats.newCard(team.customer);
    await seats.minutes(3);
    expect(await seats.atStripe(team.subscription)).toBe(3);
  });

  it("is tried again with another number of seats, and not where somebody left again", async () => {
    await declined();
    await seats.leave(team.id);
    await seats.minutes(3);
    expect(await seats.shown(team.id)).toMatchObject({ quantity: 2, status: "same" });
    expect(seats.changes(team.subscription)).toHaveLength(1);
    await seats.join(team.id, 2);
    await seats.breakCard(team.card, "succeed");
    await seats.minutes(3);
    expect(await seats.atStripe(team.subscription)).toBe(4);
  });

  it("is applied where a manager pays the invoice that waits", async () => {
    await declined();
    await seats.breakCard(team.card, "succeed");
    const { latest_invoice } = await seats.world.stripe.subscriptions.retrieve(team.subscription);
    await seats.world.stripe.invoices.pay(String(latest_invoice));
    await seats.minutes(3);
    expect(await seats.shown(team.id)).toMatchObject({ status: "same", stripe_quantity: 3 });
    expect(seats.changes(team.subscription)).toHaveLength(1);
  });
});

describe("what a change costs, and when", () => {
  it("past due: no card is tried for seats; what they cost is on the next invoice", async () => {
    team = await seats.subscribedTeam(2);
    await seats.breakCard(team.card);
    const { items } = await seats.world.stripe.subscriptions.retrieve(team.subscription);
    await seats.world.passTime(new Date(Number(items.data[0]?.current_period_end) * 1000 + 3_700_000));
    await seats.minutes(2);
    const before = await charges();
    await seats.join(team.id);
    await seats.minutes(3);
    expect(await seats.atStripe(team.subscription)).toBe(3);
    expect(await charges()).toEqual(before);
    expect((await seats.world.stripe.subscriptions.retrieve(team.subscription)).status).toBe("past_due");
  });

  it("send_invoice: a plain update, and the invoice is sent", async () => {
    team = await seats.subscribedTeam(2, { collection_method: "send_invoice", days_until_due: 14 });
    await seats.join(team.id);
    await seats.minutes(3);
    expect(await seats.atStripe(team.subscription)).toBe(3);
    const { data } = await seats.world.stripe.invoices.list({ subscription: team.subscription });
    expect(data[0]).toMatchObject({ billing_reason: "subscription_update", status: "open" });
    // A seat for nearly the whole month.
    expect(Math.abs(Number(data[0]?.amount_remaining) - 1000)).toBeLessThan(10);
  });

  it.each(["create_prorations", "none"])(
    "%s: nothing is charged at once, also with a card that is declined",
    async (mode) => {
      await seats.world.database.sql`update billing.settings set seats_proration = ${mode} where id`;
      await declined();
      expect(await seats.atStripe(team.subscription)).toBe(3);
      expect(await charges()).toEqual({ paid: 1, declined: 0 });
      const { data } = await seats.world.stripe.invoiceItems.list({ customer: team.customer, pending: true });
      expect(data.length).toBe(mode === "none" ? 0 : 2);
    },
  );
});
