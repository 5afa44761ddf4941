import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { DAY, DunningWorld, HOUR, type Subscriber } from "../../support/dunning-world.ts";

let world: DunningWorld;
beforeEach(async () => {
  world = await DunningWorld.open();
  await world.database.sql`
    update billing.settings
    set mode = 'mirror', project_ref = null, app_name = 'Example Notes', app_url = 'https://notes.example.com',
      email_from = 'billing@example.com'
    where id
  `;
});
afterEach(() => world.close());

const goLive = async (ref = "local") =>
  (await world.database.sql`select billing.go_live(${ref}, ${world.now}) as answer`)[0]?.answer as Record<
    string,
    unknown
  >;
const backToMirror = () => world.database.sql`select billing.back_to_mirror(${world.now})`;
const settings = async () =>
  (await world.database.sql`select mode, project_ref, live_since, adopted_at from billing.settings`)[0];
const withheld = () =>
  world.database
    .sql`select reason, kind, what, effects::int from billing.withheld_effects order by kind, what, reason`;
const casesOf = async ({ customer }: Subscriber) =>
  world.database.sql`select status from billing.dunning_cases where customer = ${customer}`;

/** Somebody whose renewal was declined, as Stripe tells it to a project in mirror mode. */
async function declinedInMirror(): Promise<Subscriber> {
  const who = await world.subscribe();
  await world.arrive();
  await world.breakCard(who);
  await world.renew(who);
  return who;
}

describe("in mirror mode", () => {
  it("what Stripe tells is received and shown, and nothing is sent, called or dunned", async () => {
    const who = await declinedInMirror();
    world.local.ledger.clear();
    for (let day = 0; day < 12; day++) await world.nextDay();

    const { sql } = world.database;
    expect(await sql`select status from billing.subscriptions`).toEqual([{ status: "past_due" }]);
    expect(await sql`select status, count(*)::int from billing.invoices group by 1 order by 1`).toEqual([
      { status: "open", count: 1 },
      { status: "paid", count: 1 },
    ]);
    expect(world.inbox.ledger.mails).toEqual([]);
    expect(world.local.ledger.requests.filter(({ method }) => method !== "GET")).toEqual([]);
    expect(await casesOf(who)).toEqual([]);
    expect(await withheld()).toEqual([
      { reason: "mirror", kind: "email", what: "payment-receipt", effects: 1 },
    ]);
    const preview = await sql`select customer, would from billing.dunning_preview(${world.now})`;
    expect(preview).toEqual([
      { customer: who.customer, would: "open a case and send payment-failed-notice" },
    ]);
  });

  it("nobody opens a case, releases a debt or an effect, or is sent to Stripe's pages, and the answer says why", async () => {
    const who = await declinedInMirror();
    const { sql } = world.database;
    const owner = "0c0ffee0-1111-4222-8333-944455556666";
    for (const call of [
      sql`select billing.open_dunning(${who.subscription}, ${world.now})`,
      sql`select billing.release_debts(array['in_1'], ${world.now})`,
      sql`select billing.release_withheld(array[1], ${world.now})`,
      sql`select billing.find_portal_customer(${owner})`,
      sql`select billing.prepare_checkout(${owner}, 'price_1')`,
      sql`select billing.begin_checkout(${owner}, ${owner}, 'subscription:x', '{}', '{}')`,
    ]) {
      await expect(call).rejects.toMatchObject({ code: "DU080" });
    }
  });
});

describe("going live", () => {
  it("is refused, with the list, while name, address or sender are the defaults", async () => {
    await world.database.sql`
      update billing.settings set app_name = default, app_url = default, email_from = default where id`;
    await expect(goLive("abcdefghijklmnopqrst")).rejects.toMatchObject({
      code: "DU081",
      detail: expect.stringMatching(/app_name.*app_url.*email_from/),
    });
    expect(await settings()).toMatchObject({ mode: "mirror", project_ref: null });
    await expect(goLive("Not a reference")).rejects.toMatchObject({ code: "DU082" });
  });

  it("tells nobody of what happened before, however late it is heard of, and of what happens after as usual", async () => {
    const who = await world.subscribe();
    world.arrives = () => false;
    await world.arrive();
    world.now = new Date(world.now.getTime() + HOUR);
    expect(await goLive()).toMatchObject({ mode: "live", project_ref: "local", withheld: 0, old_debts: 0 });
    expect(await settings()).toMatchObject({ mode: "live", live_since: world.now, adopted_at: world.now });
    world.arrives = () => true;
    await world.arriveLate();
    await world.deliver();
    expect(world.mailsTo(who.email)).toEqual([]);
    expect(await withheld()).toEqual([
      { reason: "before_go_live", kind: "email", what: "payment-receipt", effects: 1 },
    ]);
    await world.renew(who);
    expect(world.mailsTo(who.email)).toEqual(["payment-receipt"]);
  });

  it("again for the same project it changes nothing", async () => {
    await goLive();
    const before = await settings();
    world.now = new Date(world.now.getTime() + DAY);
    await goLive();
    expect(await settings()).toEqual(before);
  });

  it("leaves old debts alone until a person releases them; then comes the notice first, and the whole ladder", async () => {
    const who = await declinedInMirror();
    for (let day = 0; day < 20; day++) await world.nextDay();
    await goLive();
    for (let day = 0; day < 3; day++) await world.nextDay();
    expect(await casesOf(who)).toEqual([]);
    expect(world.mailsTo(who.email)).toEqual([]);

    const { sql } = world.database;
    const debts = await sql<
      { invoice: string; email: string; amount: number }[]
    >`select invoice, email, amount_remaining::int as amount from billing.old_debts(${world.now})`;
    expect(debts).toMatchObject([{ email: who.email, amount: 2000 }]);
    const invoice = debts[0]?.invoice ?? "";
    expect(
      await sql`select * from billing.release_debts(${[invoice, "in_Unknown"]}, ${world.now}) order by invoice`,
    ).toEqual(
      [
        { invoice, outcome: "released" },
        { invoice: "in_Unknown", outcome: "no_old_debt" },
      ].sort((a, b) => (a.invoice < b.invoice ? -1 : 1)),
    );
    expect(await sql`select * from billing.old_debts(${world.now})`).toEqual([]);
    await world.deliver();
    expect(world.mailsTo(who.email)).toEqual(["payment-failed-notice"]);
    for (let day = 0; day < 3; day++) await world.nextDay();
    expect(world.mailsTo(who.email)).toEqual(["payment-failed-notice", "payment-failed-urgent"]);
  });

  it("keeps the date of adoption that a person set, and moves on the one that it set itself", async () => {
    const chosen = new Date("2026-02-01T00:00:00Z");
    await world.database.sql`update billing.settings set adopted_at = ${chosen} where id`;
    await goLive();
    expect(await settings()).toMatchObject({ adopted_at: chosen });
    await world.database.sql`update billing.settings set adopted_at = live_since where id`;
    await backToMirror();
    world.now = new Date(world.now.getTime() + DAY);
    await goLive();
    expect(await settings()).toMatchObject({ adopted_at: world.now, live_since: world.now });
  });
});

describe("back in mirror mode", () => {
  it("a case stays open and no step is taken; live again, it goes on with the step whose mail was withheld", async () => {
    await goLive();
    const who = await world.subscribe();
    await world.arrive();
    await world.deliver();
    await world.breakCard(who);
    // The notice is decided and waits: deliver does not run in between.
    const { items } = await world.stripe.subscriptions.retrieve(who.subscription);
    await world.passTime(new Date((items.data[0]?.current_period_end ?? 0) * 1000));
    await world.passTime(new Date(world.now.getTime() + HOUR + 60_000));
    const { sql } = world.database;
    await sql`select billing.take_dunning_steps(${who.customer}, array(
      select id from billing.invoices union all select id from billing.customers union all select id from billing.subscriptions
    ), ${world.now})`;
    expect(await sql`select kind, status from billing.dunning_actions`).toEqual([
      { kind: "notice", status: "planned" },
    ]);

    await backToMirror();
    expect(await sql`select kind, status, note from billing.dunning_actions`).toEqual([
      { kind: "notice", status: "canceled", note: "withheld: mirror" },
    ]);
    for (let day = 0; day < 5; day++) await world.nextDay();
    expect(world.mailsTo(who.email)).toEqual(["payment-receipt"]);
    expect(await casesOf(who)).toEqual([{ status: "open" }]);

    await goLive();
    await world.nextDay();
    expect(world.mailsTo(who.email)).toEqual(["payment-receipt", "payment-failed-notice"]);
    expect(
      await sql`select withheld_reason from billing.outbox where status = 'withheld' and kind = 'email'`,
    ).toEqual([{ withheld_reason: "mirror" }]);
  });

  it("a case that is paid closes, and its mail is withheld for good", async () => {
    await goLive();
    const who = await world.subscribe();
    await world.arrive();
    await world.breakCard(who);
    await world.renew(who);
    await backToMirror();
    await world.breakCard(who, "succeed");
    const [invoice] = await world.database.sql`select id from billing.invoices where status = 'open'`;
    await world.stripe.invoices.pay(invoice?.id);
    await world.arrive();
    await world.deliver();
    expect(await world.database.sql`select status, outcome from billing.dunning_cases`).toEqual([
      { status: "closed", outcome: "recovered" },
    ]);
    await goLive();
    for (let day = 0; day < 2; day++) await world.nextDay();
    expect(world.mailsTo(who.email)).toEqual(["payment-receipt", "payment-failed-notice"]);
  });
});
