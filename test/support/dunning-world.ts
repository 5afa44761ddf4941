import Stripe from "stripe";
import { type Inbox, startInbox } from "../../scripts/local/inbox/server.ts";
import { setCardOutcome } from "../../scripts/local/stripe/buyer.ts";
import {
  type LocalStripe,
  type LocalStripeOptions,
  startLocalStripe,
} from "../../scripts/local/stripe/server.ts";
import { createTestDatabase, type TestDatabase } from "./database.ts";
import { chase, type DeliverParts, deliver } from "./delivering.ts";

const SECRET_KEY = "sk_test_example_dunning_world";
export const HOUR = 3_600_000;
export const DAY = 24 * HOUR;

/** Somebody who subscribes. */
export interface Subscriber {
  customer: string;
  email: string;
  card: string;
  subscription: string;
}

/** An event of Stripe's on its way. */
type StripeEvent = ReturnType<LocalStripe["events"]["all"]>[number];

/**
 * A database, a Stripe and a Resend with one clock, which only the test turns. Events reach the database when the test
 * lets them. Deliver and the daily run are the real code, run in this process.
 */
export class DunningWorld {
  database: TestDatabase;
  readonly local: LocalStripe;
  readonly stripe: Stripe;
  readonly inbox: Inbox;
  parts: DeliverParts;
  now: Date;
  /** Decides which events arrive at once. The others are kept for `arrive`. */
  arrives: (event: StripeEvent) => boolean = () => true;
  readonly late: StripeEvent[] = [];
  #seen = 0;
  #reported = 0;
  #people = 0;
  #prices = new Map<string, string>();

  private constructor(
    database: TestDatabase,
    local: LocalStripe,
    inbox: Inbox,
    clock: { now: Date },
    isConnected: boolean,
  ) {
    this.database = database;
    this.local = local;
    this.inbox = inbox;
    this.now = clock.now;
    const { hostname, port } = new URL(local.url);
    this.stripe = new Stripe(SECRET_KEY, {
      host: hostname,
      port,
      protocol: "http",
      maxNetworkRetries: 0,
      ...(isConnected ? { stripeAccount: local.account } : {}),
    });
    this.parts = {
      database,
      resend: { url: inbox.apiUrl },
      stripe: { url: local.url, secretKey: SECRET_KEY },
      budget: { wallMs: 600_000 },
    };
  }

  /**
   * `start` is when the clock begins; `settings` are what an account's dashboard would decide; connected: the project
   * mirrors a connected account, and has its platform's key.
   */
  static async open(
    start = new Date("2026-03-02T09:00:00Z"),
    settings: LocalStripeOptions["settings"] = {},
    { isConnected = false } = {},
  ): Promise<DunningWorld> {
    const clock = { now: start };
    const database = await createTestDatabase();
    const local = await startLocalStripe({
      port: 0,
      apiKey: SECRET_KEY,
      now: () => clock.now,
      settings,
      isConnected,
    });
    if (isConnected)
      await database.sql`update billing.settings set stripe_account = ${local.account} where true`;
    const inbox = await startInbox({
      port: 0,
      mailbox: false,
      ratePerSecond: Number.POSITIVE_INFINITY,
      now: () => clock.now,
    });
    const world = new DunningWorld(database, local, inbox, clock, isConnected);
    Object.defineProperty(world, "now", { get: () => clock.now, set: (now: Date) => (clock.now = now) });
    return world;
  }

  /** From now on the project is this database, such as a backup that was restored. The other one is dropped. */
  async continueOn(database: TestDatabase): Promise<void> {
    await this.database.drop();
    this.database = database;
    this.parts = { ...this.parts, database };
  }

  async close(): Promise<void> {
    await this.local.close();
    await this.inbox.close();
    await this.database.drop();
  }

  /** A customer with a card and a running monthly subscription. */
  async subscribe(
    options: { amount?: number; currency?: string; params?: Partial<Stripe.SubscriptionCreateParams> } = {},
  ): Promise<Subscriber> {
    const { amount = 2000, currency = "usd", params } = options;
    const email = `person${++this.#people}@example.com`;
    const customer = await this.stripe.customers.create({ email, name: `Person ${this.#people}` });
    const card = await this.stripe.paymentMethods.attach("pm_card_visa", { customer: customer.id });
    await this.stripe.customers.update(customer.id, {
      invoice_settings: { default_payment_method: card.id },
    });
    const { id } = await this.addSubscription(customer.id, amount, currency, params);
    return { customer: customer.id, email, card: card.id, subscription: id };
  }

  async addSubscription(
    customer: string,
    amount: number,
    currency: string,
    params?: Partial<Stripe.SubscriptionCreateParams>,
  ): Promise<Stripe.Subscription> {
    const price = await this.price(amount, currency);
    return this.stripe.subscriptions.create({
      customer,
      items: [{ price }],
      // Like subscriptions from before flexible billing became the default. Tests of flexible billing ask for it.
      billing_mode: { type: "classic" },
      ...params,
    });
  }

  async price(amount: number, currency: string, interval: "month" | "week" = "month"): Promise<string> {
    const name = `${amount} ${currency} a ${interval}`;
    const known = this.#prices.get(name);
    if (known) return known;
    const product = await this.stripe.products.create({ name: `Plan of ${name}` });
    const price = await this.stripe.prices.create({
      product: product.id,
      currency,
      unit_amount: amount,
      recurring: { interval },
    });
    this.#prices.set(name, price.id);
    return price.id;
  }

  /** Sets whether a card is declined or works, from the next charge on. */
  async breakCard({ card }: Subscriber, outcome = "insufficient_funds"): Promise<void> {
    await setCardOutcome(this.stripe, card, outcome);
  }

  /** Turns the clock, lets Stripe do what falls due, and the events arrive. */
  async passTime(to: Date): Promise<void> {
    this.now = to;
    this.local.tick();
    await this.arrive();
  }

  /** Delivers the events since the last call, in order, except those that `arrives` keeps back. */
  async arrive(): Promise<void> {
    const all = this.local.events.all();
    const fresh = all.slice(this.#seen);
    this.#seen = all.length;
    for (const event of fresh) {
      if (this.arrives(event)) await this.database.receive(event, this.now);
      else this.late.push(event);
    }
  }

  /** Delivers what was kept back, in the order given. */
  async arriveLate(events = this.late.splice(0)): Promise<void> {
    for (const event of events) await this.database.receive(event, this.now);
  }

  /** Runs deliver until nothing is due, and delivers the events that it caused. */
  async deliver(parts: Partial<DeliverParts> = {}): Promise<void> {
    await deliver({ ...this.parts, ...parts }, this.now);
    await this.arrive();
    await this.report();
  }

  /** Delivers Resend's reports of the mails since the last call. */
  async report(): Promise<void> {
    await this.inbox.settled();
    const mails = this.inbox.ledger.mails.slice(this.#reported);
    this.#reported = this.inbox.ledger.mails.length;
    for (const mail of mails) {
      const report = {
        type: "email.delivered",
        created_at: this.now.toISOString(),
        data: { email_id: mail.id, tags: mail.tags },
      };
      await this.database.asService(
        (sql) =>
          sql`select billing.receive_email_report(${`report_${mail.id}`}, ${sql.json(report)}, ${this.now})`,
      );
    }
  }

  /** The daily run, and what it owes. */
  async run(parts: Partial<DeliverParts> = {}): Promise<Record<string, number>> {
    const counts = await chase({ ...this.parts, ...parts }, this.now);
    await this.arrive();
    await this.deliver(parts);
    return counts;
  }

  /**
   * A day later. Hour by hour, what Stripe did arrives and deliver runs; then comes the daily run. Where that was before
   * noon, noon follows: ends are made then.
   */
  async nextDay(): Promise<Record<string, number>> {
    const until = this.now.getTime() + DAY;
    for (const hours of [6, 12, 18, 24]) {
      await this.passTime(new Date(until - DAY + hours * HOUR));
      await this.deliver();
    }
    const counts = await this.run();
    const noon = Math.floor(this.now.getTime() / DAY) * DAY + DAY / 2;
    if (this.now.getTime() < noon) {
      await this.passTime(new Date(noon));
      await this.deliver();
    }
    return counts;
  }

  /** Lets time pass until a subscription's next renewal is due and its payment was attempted. */
  async renew({ subscription }: Subscriber): Promise<void> {
    // What is due now leaves now: a month later it would be stale.
    await this.deliver();
    const { items } = await this.stripe.subscriptions.retrieve(subscription);
    const end = items.data[0]?.current_period_end;
    if (end === undefined) throw new Error(`subscription ${subscription} has no item`);
    await this.passTime(new Date(end * 1000));
    // A renewal's invoice is a draft for an hour.
    await this.passTime(new Date(end * 1000 + HOUR + 60_000));
    await this.deliver();
  }

  /** The templates of the mails that left for an address, in order. */
  mailsTo(email: string): string[] {
    return this.inbox.ledger.mailsWhere({ to: email }).map(({ tags }) => String(tags.template));
  }
}
