import { outcomeOf } from "../../../scripts/local/inbox/core/outcomes.ts";
import type { DunningWorld } from "../dunning-world.ts";
import { inLanes } from "../simulation/lanes.ts";
import { Random } from "../simulation/random.ts";
import type { SimulatedCustomer } from "./customer.ts";

type StripeEvent = ReturnType<DunningWorld["local"]["events"]["all"]>[number];

/** Delivers Stripe's events and Resend's reports to the database, as planned: late, twice, out of order, or never. */
export class Webhooks {
  readonly #world: DunningWorld;
  readonly #start: number;
  readonly #customers = new Map<
    string,
    { customer: SimulatedCustomer; random: Random; kept: StripeEvent[] }
  >();
  #seen = 0;
  #reported = 0;
  #reports = 0;
  /** How many events and reports were delivered. */
  delivered = 0;
  /** How many were quarantined and replayed later. */
  replayed = 0;
  /** Ids of quarantined events, by customer. */
  readonly #quarantined = new Map<string, string[]>();

  constructor(world: DunningWorld, start: number) {
    this.#world = world;
    this.#start = start;
  }

  add(customer: SimulatedCustomer): void {
    this.#customers.set(customer.id, { customer, random: new Random(customer.plan.seed), kept: [] });
  }

  /** Delivers the events since the last call: of all customers at the same time, of each customer in order. */
  async deliverNew(): Promise<void> {
    const all = this.#world.local.events.all();
    const fresh = all.slice(this.#seen);
    this.#seen = all.length;
    const ofNobody: StripeEvent[] = [];
    const lots = new Map<string, StripeEvent[]>();
    for (const event of fresh) {
      const owner = customerOf(event);
      if (owner === undefined || !this.#customers.has(owner)) ofNobody.push(event);
      else lots.set(owner, [...(lots.get(owner) ?? []), event]);
    }
    await this.#deliver(ofNobody);
    await inLanes(4, [...this.#customers.keys()], async (owner) => {
      const isWrong = this.#isQuarantined(owner);
      if (!isWrong) await this.#replay(owner);
      await this.#deliver(this.#dueOf(owner, lots.get(owner) ?? []), isWrong ? owner : undefined);
    });
  }

  /** The events of a customer that arrive now. */
  #dueOf(owner: string, fresh: StripeEvent[]): StripeEvent[] {
    const known = this.#customers.get(owner);
    if (known === undefined) return fresh;
    const { customer, random, kept } = known;
    const { late, loses, repeats, shuffles } = customer.plan.webhookFaults;
    for (const event of fresh) {
      if (!random.chance(loses)) kept.push(event);
      else customer.lost += 1;
    }
    const since = this.#world.now.getTime() - this.#start;
    if (kept.length === 0 || (late !== null && since >= late.from && since < late.until)) return [];
    const due = kept.splice(0);
    const copies = due.filter(() => random.chance(repeats));
    return shuffles ? random.shuffled([...due, ...copies]) : [...due, ...copies];
  }

  #isQuarantined(owner: string): boolean {
    const wrong = this.#customers.get(owner)?.customer.plan.webhookFaults.quarantined ?? null;
    const since = this.#world.now.getTime() - this.#start;
    return wrong !== null && since >= wrong.from && since < wrong.until;
  }

  /** Replays what was quarantined while the settings were wrong, in the order it came. */
  async #replay(owner: string): Promise<void> {
    const ids = this.#quarantined.get(owner) ?? [];
    this.#quarantined.delete(owner);
    const { database, now } = this.#world;
    for (const id of ids) {
      await database.asService((sql) => sql`select billing.replay_failed_webhook(${id}, ${now})`);
      this.replayed += 1;
    }
  }

  /** Delivers one after the other in one transaction. With a customer, under settings of the wrong mode. */
  async #deliver(events: readonly StripeEvent[], quarantinedFor?: string): Promise<void> {
    if (events.length === 0) return;
    const { database, now } = this.#world;
    await database.sql.begin(async (sql) => {
      // No other session sees the wrong setting: it is undone before the commit.
      if (quarantinedFor !== undefined) await sql`update billing.settings set livemode = true where id`;
      const results = await sql<{ id: string; result: string }[]>`
        select e.event ->> 'id' as id, billing.receive_event(e.event, ${now}) as result
        from jsonb_array_elements(${sql.json(events as never)}) with ordinality as e (event, place)
        order by e.place`;
      if (quarantinedFor === undefined) return;
      await sql`update billing.settings set livemode = false where id`;
      const kept = results.filter(({ result }) => result === "quarantined").map(({ id }) => id);
      const before = this.#quarantined.get(quarantinedFor) ?? [];
      this.#quarantined.set(quarantinedFor, [...new Set([...before, ...kept])]);
    });
    this.delivered += events.length;
  }

  /** Delivers Resend's reports of the mails since the last call. The address decides what they say. */
  async report(): Promise<void> {
    const { inbox, database, now } = this.#world;
    await inbox.settled();
    const accepted = inbox.emails();
    const left = new Set(inbox.ledger.mails.slice(-(accepted.length - this.#reported)).map(({ id }) => id));
    for (const mail of accepted.slice(this.#reported)) {
      const outcome = left.has(mail.id)
        ? outcomeOf(mail.to)
        : { events: [String(`email.${mail.last_event}`)] };
      for (const type of outcome.events) {
        const bounce = "bounce" in outcome && type === "email.bounced" ? outcome.bounce : undefined;
        const report = {
          type,
          created_at: now.toISOString(),
          // Tags are an object in webhooks, and a list in answers: https://resend.com/docs/webhooks/emails/sent
          data: {
            email_id: mail.id,
            tags: Object.fromEntries((mail.tags ?? []).map(({ name, value }) => [name, value])),
            bounce,
          },
        };
        const id = `report_${++this.#reports}`;
        await database.asService(
          (sql) => sql`select billing.receive_email_report(${id}, ${sql.json(report as never)}, ${now})`,
        );
        this.delivered += 1;
      }
    }
    this.#reported = accepted.length;
  }
}

function customerOf({ data }: StripeEvent): string | undefined {
  const { id, object, customer } = data.object as {
    id: string;
    object: string;
    customer?: string | { id: string } | null;
  };
  if (object === "customer") return id;
  return typeof customer === "string" ? customer : customer?.id;
}
