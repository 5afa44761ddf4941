import { randomUUID } from "node:crypto";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import type Stripe from "stripe";
import { setCardOutcome } from "../../scripts/local/stripe/buyer.ts";
import { DunningWorld, HOUR } from "./dunning-world.ts";

export const MINUTE = 60_000;

const page = readFileSync(join(import.meta.dirname, "../../docs/owners.md"), "utf8");

/** The block of SQL under a comment `run: name` of docs/owners.md. */
export function ownersPage(name: string): string {
  const sql = new RegExp(`<!-- run: ${name} -->\\s+\`\`\`sql\\n([^\`]*)\`\`\``).exec(page)?.[1];
  if (!sql) throw new Error(`docs/owners.md has no block ${name}`);
  return sql;
}

/** A row of `billing.seats`. */
export interface Seats {
  quantity: number;
  status: string;
  subscription: string | null;
  item: string | null;
  stripe_quantity: number | null;
}

/** A team that pays by the seat. */
export interface Team {
  id: string;
  customer: string;
  card: string;
  subscription: string;
}

/** A world of teams as docs/owners.md sets them up, whose members are counted by the page's triggers. */
export class SeatsWorld {
  readonly world: DunningWorld;
  price = "";

  private constructor(world: DunningWorld) {
    this.world = world;
  }

  static async open(start?: Date): Promise<SeatsWorld> {
    const world = await DunningWorld.open(start);
    const seats = new SeatsWorld(world);
    for (const name of ["tables", "function", "settings", "seats"])
      await world.database.sql.unsafe(ownersPage(name));
    seats.price = await seats.newPrice({ seats: "true" });
    return seats;
  }

  close(): Promise<void> {
    return this.world.close();
  }

  async newPrice(metadata: Record<string, string>, amount = 1000): Promise<string> {
    const product = await this.world.stripe.products.create({ name: "Team" });
    const price = await this.world.stripe.prices.create({
      product: product.id,
      currency: "usd",
      unit_amount: amount,
      recurring: { interval: "month" },
      metadata,
    });
    return price.id;
  }

  async newTeam(): Promise<string> {
    const id = randomUUID();
    await this.world.database.sql`insert into public.teams (id, name) values (${id}, 'Team')`;
    return id;
  }

  /** A team of so many members, with a card and a running monthly subscription of so many seats. */
  async subscribedTeam(members = 1, params: Partial<Stripe.SubscriptionCreateParams> = {}): Promise<Team> {
    const id = await this.newTeam();
    await this.join(id, members);
    const team = await this.subscribe(id, { items: [{ price: this.price, quantity: members }], ...params });
    await this.minutes(3);
    return team;
  }

  async subscribe(id: string, params: Partial<Stripe.SubscriptionCreateParams> = {}): Promise<Team> {
    const { stripe } = this.world;
    const customer = await stripe.customers.create({
      email: `${id}@example.com`,
      metadata: { owner_id: id },
    });
    const card = await stripe.paymentMethods.attach("pm_card_visa", { customer: customer.id });
    await stripe.customers.update(customer.id, { invoice_settings: { default_payment_method: card.id } });
    const subscription = await stripe.subscriptions.create({
      customer: customer.id,
      items: [{ price: this.price }],
      billing_mode: { type: "classic" },
      ...params,
    });
    await this.world.arrive();
    return { id, customer: customer.id, card: card.id, subscription: subscription.id };
  }

  /** So many join, each in a statement of their own. Returns who. */
  async join(team: string, count = 1): Promise<string[]> {
    const who: string[] = [];
    for (let index = 0; index < count; index++) {
      const user = await this.world.database.signUp();
      await this.world.database.sql`insert into public.members values (${team}, ${user}, 'member')`;
      who.push(user);
    }
    return who;
  }

  /** So many leave, whoever came first. */
  async leave(team: string, count = 1): Promise<void> {
    await this.world.database.sql`
      delete from public.members where (team_id, user_id) in (
        select team_id, user_id from public.members where team_id = ${team} order by user_id limit ${count})`;
  }

  async members(team: string): Promise<number> {
    const [row] = await this.world.database.sql<{ count: number }[]>`
      select count(*)::int from public.members where team_id = ${team}`;
    return row?.count ?? 0;
  }

  /** The part of the minute tick that is about seats. */
  async tick(): Promise<void> {
    for (;;) {
      const [row] = await this.world.database.sql<{ done: number }[]>`
        select billing_private.follow_seats(${this.world.now}) as done`;
      if (!row?.done) return;
    }
  }

  /** So many minutes pass: each has its tick, and deliver runs. */
  async minutes(count: number): Promise<void> {
    for (let minute = 0; minute < count; minute++) {
      await this.world.passTime(new Date(this.world.now.getTime() + MINUTE));
      await this.tick();
      await this.world.deliver();
    }
  }

  /** Hours pass, and a tick and deliver run after each. */
  async hours(count: number): Promise<void> {
    for (let hour = 0; hour < count; hour++) {
      await this.world.passTime(new Date(this.world.now.getTime() + HOUR));
      await this.minutes(2);
    }
  }

  async shown(team: string): Promise<Seats | undefined> {
    const [row] = await this.world.database.sql<Seats[]>`
      select quantity::int, status, subscription, item, stripe_quantity::int from billing.seats where owner_id = ${team}`;
    return row;
  }

  /** The quantity of the item that bills seats, as Stripe has it. */
  async atStripe(subscription: string): Promise<number | undefined> {
    const { items } = await this.world.stripe.subscriptions.retrieve(subscription);
    return items.data.find(({ price }) => price.metadata.seats === "true")?.quantity;
  }

  /** The calls that change a subscription, of those that were made and not only answered again. */
  changes(subscription: string) {
    return this.world.local.ledger
      .requestsWhere({ method: "POST", path: `/v1/subscriptions/${subscription}`, replayed: false })
      .filter(({ idempotencyKey }) => idempotencyKey?.startsWith("seats:"));
  }

  async breakCard(card: string, outcome = "insufficient_funds"): Promise<void> {
    await setCardOutcome(this.world.stripe, card, outcome);
  }

  /** Gives the customer another default card. */
  async newCard(customer: string, outcome = "succeed"): Promise<string> {
    const { id } = await this.world.stripe.paymentMethods.attach("pm_card_mastercard", { customer });
    await setCardOutcome(this.world.stripe, id, outcome);
    await this.world.stripe.customers.update(customer, { invoice_settings: { default_payment_method: id } });
    return id;
  }

  async alerts(): Promise<string[]> {
    const rows = await this.world.database.sql<{ cause: string }[]>`
      select payload ->> 'cause' as cause from billing.outbox where kind = 'alert' order by id`;
    return rows.map(({ cause }) => cause);
  }

  async audited(action: string): Promise<number> {
    const [row] = await this.world.database.sql<{ count: number }[]>`
      select count(*)::int from billing.audit_events where action = ${action}`;
    return row?.count ?? 0;
  }
}
