import type { DunningWorld } from "../dunning-world.ts";
import { costOf, historyOf, quantityAt } from "../seat-costs.ts";
import type { SimulatedTeam, TeamBreach } from "./teams.ts";

/** Of one seat in a month, minor units. */
const PRICE = 700;

/** What teams pay by the seat, each by a customer of its own whose card always works: the members decide how many. */
export class TeamSeats {
  /** By team: who pays for its seats, and by which subscription. */
  readonly #payers = new Map<string, { customer: string; subscription: string }>();
  readonly #world: DunningWorld;
  readonly #price: string;
  /** How many changes Stripe has made, once it is asked. */
  changes = 0;

  private constructor(world: DunningWorld, price: string) {
    this.#world = world;
    this.#price = price;
  }

  /** Has the application count `app.members` from a trigger, as docs/owners.md does it. */
  static async open(world: DunningWorld): Promise<TeamSeats> {
    await world.database.sql.unsafe(`
      create function app.count_seats() returns trigger language plpgsql security definer set search_path = '' as $$
      begin
        perform billing.sync_seats(t.id, (select count(*) from app.members as m where m.team_id = t.id))
        from (select distinct c.team_id as id from changed as c) as t;
        return null;
      end;
      $$;
      create trigger joined after insert on app.members
        referencing new table as changed for each statement execute function app.count_seats();
      create trigger left_team after delete on app.members
        referencing old table as changed for each statement execute function app.count_seats();
    `);
    const product = await world.stripe.products.create({ name: "Seats" });
    const price = await world.stripe.prices.create({
      product: product.id,
      currency: "usd",
      unit_amount: PRICE,
      recurring: { interval: "month" },
      metadata: { seats: "true" },
    });
    return new TeamSeats(world, price.id);
  }

  /** The customers that pay for seats. */
  get customers(): string[] {
    return [...this.#payers.values()].map(({ customer }) => customer);
  }

  /** Who pays for a team's seats. */
  customerOf(team: SimulatedTeam): string[] {
    const payer = this.#payers.get(team.id);
    return payer === undefined ? [] : [payer.customer];
  }

  async subscribe(team: SimulatedTeam): Promise<void> {
    const { stripe } = this.#world;
    const customer = await stripe.customers.create({
      email: `seats${team.index}@example.com`,
      metadata: { owner_id: team.id },
    });
    const card = await stripe.paymentMethods.attach("pm_card_visa", { customer: customer.id });
    await stripe.customers.update(customer.id, { invoice_settings: { default_payment_method: card.id } });
    const subscription = await stripe.subscriptions.create({
      customer: customer.id,
      items: [{ price: this.#price, quantity: team.users.size }],
      billing_mode: { type: "classic" },
    });
    this.#payers.set(team.id, { customer: customer.id, subscription: subscription.id });
  }

  /** The part of the minute tick that is about seats. */
  async tick(): Promise<void> {
    for (;;) {
      const [row] = await this.#world.database.sql<{ done: number }[]>`
        select billing_private.follow_seats(${this.#world.now}) as done`;
      if (!row?.done) return;
    }
  }

  /** Compares, at the end, members with quantities and quantities with money. A deleted team has neither any more. */
  async breaches(teams: readonly SimulatedTeam[]): Promise<TeamBreach[]> {
    const found: TeamBreach[] = [];
    for (const team of teams) {
      const payer = this.#payers.get(team.id);
      if (payer === undefined) continue;
      const say = (what: string) =>
        found.push({ customer: payer.customer, rule: "seats", what: `team ${team.index}: ${what}` });
      const { local, stripe, database } = this.#world;
      const { quantities, periods } = historyOf(local, payer.subscription);
      this.changes += quantities.length - 1;
      if (team.isDeleted) continue;
      const wanted = Math.max(team.users.size, 1);
      const [row] = await database.sql<{ quantity: number; status: string }[]>`
        select quantity::int, status from billing.seats where owner_id = ${team.id}`;
      const atStripe = quantities.at(-1)?.quantity;
      if (atStripe !== wanted) say(`${wanted} seats, and ${atStripe} at Stripe`);
      if (row?.quantity !== team.users.size || row.status !== "same")
        say(`${team.users.size} members, and billing.seats has ${JSON.stringify(row)}`);

      const invoices = await stripe.invoices
        .list({ subscription: payer.subscription, limit: 100 })
        .autoPagingToArray({ limit: 1000 });
      if (invoices.some(({ status }) => status !== "paid")) say("an invoice for seats is not paid");
      const charged = invoices.reduce((sum, { total }) => sum + total, 0);
      // What changes in a period is on the invoice of the next one, which has not come for the last of them.
      const last = periods.at(-1);
      const cost = periods.slice(0, -1).reduce((sum, period) => sum + costOf(period, quantities, PRICE), 0);
      const due = cost + quantityAt(last?.start ?? 0, quantities) * PRICE;
      // Each line of a change is rounded.
      if (Math.abs(charged - due) > quantities.length * 2)
        say(`charged ${charged} for seats that cost ${due}`);
    }
    return found;
  }
}
