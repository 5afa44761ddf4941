import { createTestDatabase, type TestDatabase } from "../../support/database.ts";
import { DunningWorld, HOUR, type Subscriber } from "../../support/dunning-world.ts";
import { Random } from "../../support/simulation/random.ts";
import { type Restored, restoreBackup } from "./restore-backup.ts";

/** Templates that are an invoice's receipt. */
const PAID = new Set(["payment-receipt", "payment-recovered"]);

/**
 * A project of some people who pay by the week: cards break and are replaced, people cancel, money is given back. A
 * backup is made at some moment of it, life goes on, the backup is restored, and life goes on from there.
 */
export class RestoredLife {
  readonly world: DunningWorld;
  readonly random: Random;
  readonly people: Subscriber[] = [];
  #backup: TestDatabase | undefined;
  #backupAt = new Date(0);

  private constructor(world: DunningWorld, seed: number) {
    this.world = world;
    this.random = new Random(seed);
  }

  static async open(seed: number, people: number): Promise<RestoredLife> {
    const world = await DunningWorld.open();
    await world.database.sql`
      update billing.settings
      set app_name = 'Example Notes', app_url = 'https://notes.example.com', email_from = 'billing@example.com' where id`;
    const life = new RestoredLife(world, seed);
    for (let person = 0; person < people; person++) await life.#join();
    return life;
  }

  async close(): Promise<void> {
    await this.#backup?.drop();
    await this.world.close();
  }

  /** Whole days; in each some people do something. */
  async days(count: number): Promise<void> {
    for (let day = 0; day < count; day++) {
      await this.#act();
      await this.world.nextDay();
    }
  }

  /** Makes the backup at a moment at which something is about to leave, and lets that leave. */
  async backup(): Promise<void> {
    const { world, random } = this;
    await this.#act();
    await this.#join();
    await world.passTime(new Date(world.now.getTime() + random.int(1, 20) * HOUR));
    if (random.chance(0.5)) {
      await world.database.asService((sql) => sql`select billing.advance_dunning(p_now => ${world.now})`);
    }
    this.#backup = await createTestDatabase({ copyOf: world.database });
    this.#backupAt = world.now;
    await world.deliver();
  }

  /** Restores the backup and does what `duebase restored` does. */
  async restore(): Promise<Restored> {
    if (!this.#backup) throw new Error("there is no backup");
    const backup = this.#backup;
    this.#backup = undefined;
    return await restoreBackup(this.world, backup, this.#backupAt);
  }

  /** What every mail that left told, as who, what and about which invoice; a receipt and the news of a late payment are one. */
  async causes(): Promise<Map<string, number>> {
    const causes = new Map<string, number>();
    for (const { id, to, tags } of this.world.inbox.ledger.mails) {
      const response = await fetch(`${this.world.inbox.apiUrl}/emails/${id}`, {
        headers: { authorization: "Bearer re_example" },
      });
      const { text } = (await response.json()) as { text: string };
      const [invoice = ""] = /\b[A-Z0-9]{8}-\d{4}\b/.exec(text) ?? [];
      const what = PAID.has(tags.template ?? "") ? "paid" : tags.template;
      const cause = `${to[0]} ${what} ${invoice}`.trim();
      causes.set(cause, (causes.get(cause) ?? 0) + 1);
    }
    return causes;
  }

  /** What has to have been told of payments, exactly once each: everything that was paid. */
  async paid(): Promise<string[]> {
    const paid: string[] = [];
    for await (const invoice of this.world.stripe.invoices.list({ status: "paid", limit: 100 })) {
      if (invoice.amount_paid > 0) paid.push(`${invoice.customer_email} paid ${invoice.number}`);
    }
    return paid;
  }

  /** How often Stripe was asked to cancel each subscription, and did. */
  cancellations(): Map<string, number> {
    const calls = new Map<string, number>();
    for (const { path, status } of this.world.local.ledger.requestsWhere({ method: "DELETE" })) {
      if (status === 200) calls.set(path, (calls.get(path) ?? 0) + 1);
    }
    return calls;
  }

  async #join(): Promise<void> {
    const { world } = this;
    const price = await world.price(2000, "usd", "week");
    this.people.push(await world.subscribe({ params: { items: [{ price }] } }));
    await world.passTime(new Date(world.now.getTime() + this.random.int(1, 30) * 60_000));
  }

  async #act(): Promise<void> {
    const { world, random } = this;
    for (const person of this.people) {
      if (random.chance(0.12)) await world.breakCard(person);
      else if (random.chance(0.06)) await world.breakCard(person, "succeed");
    }
    if (random.chance(0.3)) await this.#join();
  }
}
