import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { ownersPage, SeatsWorld } from "../../support/seats-world.ts";

// Minutes of this world take seconds on a busy machine.
vi.setConfig({ testTimeout: 120_000 });

let seats: SeatsWorld;
beforeEach(async () => {
  seats = await SeatsWorld.open();
});
afterEach(() => seats.close());

describe("the quantity at Stripe follows the members", () => {
  it("by one call for all that changed in a minute, with a key, and by none where nothing changed", async () => {
    const team = await seats.subscribedTeam(2);
    expect(await seats.shown(team.id)).toMatchObject({ quantity: 2, stripe_quantity: 2, status: "same" });
    expect(seats.changes(team.subscription)).toEqual([]);
    await seats.join(team.id, 3);
    await seats.tick();
    await seats.join(team.id, 2);
    await seats.leave(team.id);
    await seats.minutes(3);
    expect(await seats.atStripe(team.subscription)).toBe(6);
    expect(seats.changes(team.subscription)).toMatchObject([{ status: 200 }]);
    expect(await seats.shown(team.id)).toMatchObject({ quantity: 6, stripe_quantity: 6, status: "same" });
    expect(await seats.audited("seats.changed")).toBe(1);
    await seats.minutes(5);
    expect(seats.changes(team.subscription)).toHaveLength(1);
  });

  it("within two minutes of a single change", async () => {
    const team = await seats.subscribedTeam(1);
    await seats.join(team.id);
    await seats.minutes(2);
    expect(await seats.atStripe(team.subscription)).toBe(2);
  });

  it("not of a join that is rolled back", async () => {
    const team = await seats.subscribedTeam(1);
    const user = await seats.world.database.signUp();
    await expect(
      seats.world.database.sql.begin(async (sql) => {
        await sql`insert into public.members values (${team.id}, ${user}, 'member')`;
        expect(await sql`select (billing.limit_seats(${team.id})).used::int`).toEqual([{ used: 2 }]);
        throw new Error("undone");
      }),
    ).rejects.toThrow("undone");
    await seats.minutes(3);
    expect(seats.changes(team.subscription)).toEqual([]);
    expect(await seats.shown(team.id)).toMatchObject({ quantity: 1, status: "same" });
    expect(
      await seats.world.database.sql`select from billing.outbox where dedupe_key like 'seats:%'`,
    ).toHaveLength(0);
  });

  it("of a subscription that is learnt of after the members, and of its customer linked later still", async () => {
    const id = await seats.newTeam();
    await seats.join(id, 4);
    await seats.minutes(3);
    expect(await seats.shown(id)).toMatchObject({ quantity: 4, status: "no_item", stripe_quantity: null });
    const team = await seats.subscribe(id);
    await seats.minutes(3);
    expect(await seats.atStripe(team.subscription)).toBe(4);

    const other = await seats.newTeam();
    await seats.join(other, 3);
    await seats.tick();
    const customer = await seats.world.stripe.customers.create({ email: "later@example.com" });
    const card = await seats.world.stripe.paymentMethods.attach("pm_card_visa", { customer: customer.id });
    const { id: later } = await seats.world.stripe.subscriptions.create({
      customer: customer.id,
      default_payment_method: card.id,
      items: [{ price: seats.price }],
    });
    await seats.minutes(3);
    expect(await seats.atStripe(later)).toBe(1);
    await seats.world.database.sql`
      select from billing.link_customers(${seats.world.database.sql.json([{ customer: customer.id, owner_id: other }])})`;
    await seats.minutes(3);
    expect(await seats.atStripe(later)).toBe(3);
  });

  it("as soon as the price is given its metadata", async () => {
    const price = await seats.newPrice({});
    const team = await seats.subscribedTeam(3, { items: [{ price }] });
    expect(await seats.shown(team.id)).toMatchObject({ status: "no_item" });
    await seats.world.stripe.prices.update(price, { metadata: { seats: "true" } });
    await seats.minutes(3);
    expect(await seats.shown(team.id)).toMatchObject({ status: "same", stripe_quantity: 3 });
    expect(seats.changes(team.subscription)).toHaveLength(1);
    await seats.world.stripe.prices.update(price, { metadata: { seats: "" } });
    await seats.join(team.id);
    await seats.minutes(3);
    expect(await seats.shown(team.id)).toMatchObject({ status: "no_item", item: null });
    expect(seats.changes(team.subscription)).toHaveLength(1);
  });

  it("not in mirror mode, and as it then stands once the project goes live", async () => {
    const team = await seats.subscribedTeam(1);
    const { sql } = seats.world.database;
    await sql`select billing.back_to_mirror(${seats.world.now})`;
    for (let joined = 0; joined < 3; joined++) {
      await seats.join(team.id);
      await seats.minutes(2);
    }
    expect(seats.changes(team.subscription)).toEqual([]);
    const withheld = () =>
      sql`select from billing.outbox where dedupe_key like 'seats:%' and status = 'withheld'`;
    expect(await withheld()).toHaveLength(1);
    await sql`update billing.settings set app_name = 'Acme', email_from = 'Acme <billing@example.com>' where id`;
    await sql`select billing.go_live('local', ${seats.world.now})`;
    await seats.minutes(3);
    expect(await seats.atStripe(team.subscription)).toBe(4);
    expect(seats.changes(team.subscription)).toHaveLength(1);
    expect(await withheld()).toHaveLength(1);
  });

  it("and the item beside it, of another price, stays as it is", async () => {
    const base = await seats.newPrice({}, 5000);
    const team = await seats.subscribedTeam(1, { items: [{ price: base }, { price: seats.price }] });
    await seats.join(team.id, 2);
    await seats.minutes(3);
    const { items } = await seats.world.stripe.subscriptions.retrieve(team.subscription);
    expect(items.data.map(({ quantity }) => quantity)).toEqual([1, 3]);
  });
});

describe("where it cannot follow, nothing is called and the reason is shown", () => {
  it("several subscriptions with such an item: neither is changed, and the operator is told", async () => {
    const team = await seats.subscribedTeam(2);
    const second = await seats.world.stripe.subscriptions.create({
      customer: team.customer,
      items: [{ price: seats.price, quantity: 2 }],
      metadata: { duebase_another: "true" },
    });
    await seats.world.arrive();
    await seats.join(team.id);
    await seats.minutes(3);
    expect(await seats.shown(team.id)).toMatchObject({ status: "several_items", subscription: null });
    expect([await seats.atStripe(team.subscription), await seats.atStripe(second.id)]).toEqual([2, 2]);
    expect(await seats.alerts()).toContain("several_seat_items");
    await seats.world.stripe.subscriptions.cancel(second.id);
    await seats.minutes(3);
    expect(await seats.atStripe(team.subscription)).toBe(3);
  });

  it("canceled: nothing to follow", async () => {
    const team = await seats.subscribedTeam(2);
    await seats.world.stripe.subscriptions.cancel(team.subscription);
    await seats.world.arrive();
    await seats.join(team.id);
    await seats.minutes(3);
    expect(await seats.shown(team.id)).toMatchObject({ status: "no_item" });
    expect(seats.changes(team.subscription)).toEqual([]);
  });

  it("paused: it waits, and follows once the subscription runs again", async () => {
    const team = await seats.subscribedTeam(2, { billing_mode: { type: "flexible" } });
    await seats.world.stripe.rawRequest("POST", `/v1/subscriptions/${team.subscription}/pause`, {
      type: "subscription",
    });
    await seats.world.arrive();
    await seats.join(team.id);
    await seats.minutes(3);
    expect(await seats.shown(team.id)).toMatchObject({ status: "waiting", stripe_quantity: 2 });
    expect(seats.changes(team.subscription)).toEqual([]);
    await seats.world.stripe.subscriptions.resume(team.subscription);
    await seats.minutes(3);
    expect(await seats.atStripe(team.subscription)).toBe(3);
  });

  it("on trial: it follows, and costs nothing", async () => {
    await seats.world.database.sql`update billing.settings set seats_proration = 'always_invoice' where id`;
    const team = await seats.subscribedTeam(2, { trial_period_days: 14 });
    await seats.join(team.id);
    await seats.minutes(3);
    expect(await seats.atStripe(team.subscription)).toBe(3);
    const { data } = await seats.world.stripe.invoices.list({ subscription: team.subscription });
    expect(data.map(({ total }) => total)).toEqual([0]);
  });

  it("no member left: Stripe is given one seat", async () => {
    const team = await seats.subscribedTeam(2);
    await seats.leave(team.id, 2);
    await seats.minutes(3);
    expect(await seats.shown(team.id)).toMatchObject({ quantity: 0, stripe_quantity: 1, status: "same" });
  });
});

describe("what somebody changes at Stripe", () => {
  it("is set back: the members decide, and it is on record", async () => {
    const team = await seats.subscribedTeam(3);
    const item = String((await seats.shown(team.id))?.item);
    await seats.world.stripe.subscriptionItems.update(item, { quantity: 1 });
    await seats.minutes(3);
    expect(await seats.atStripe(team.subscription)).toBe(3);
    expect(await seats.audited("seats.changed_at_stripe")).toBe(1);
    expect(seats.changes(team.subscription)).toHaveLength(1);
  });

  it("an item that was replaced meanwhile is followed as the new one", async () => {
    const team = await seats.subscribedTeam(3);
    const item = String((await seats.shown(team.id))?.item);
    const price = await seats.newPrice({ seats: "true" }, 1500);
    await seats.world.arrive();
    seats.world.arrives = () => false;
    await seats.world.stripe.subscriptions.update(team.subscription, {
      items: [{ id: item, deleted: true }, { price }],
    });
    await seats.join(team.id);
    await seats.minutes(4);
    const { items } = await seats.world.stripe.subscriptions.retrieve(team.subscription);
    expect(items.data.map(({ quantity, price: { id } }) => [id, quantity])).toEqual([[price, 4]]);
  });
});

it("a deleted team takes its row and its counts along, and nothing is called any more", async () => {
  const team = await seats.subscribedTeam(3);
  await seats.world.database.sql.unsafe(ownersPage("deletion"));
  await seats.world.database.sql`delete from public.teams where id = ${team.id}`;
  await seats.minutes(3);
  expect(await seats.shown(team.id)).toBeUndefined();
  expect(await seats.world.database.sql`select from billing_private.seat_counts`).toHaveLength(0);
  expect(seats.changes(team.subscription)).toEqual([]);
});
