import { ResendApi } from "../../../scripts/duebase/connections/resend.ts";
import { listRestored, type RestoredEffect } from "../../../scripts/duebase/restored/list.ts";
import { type EmailMatch, matchCalls, matchEmails } from "../../../scripts/duebase/restored/match.ts";
import { beginRestore, goLiveAgain, type Released } from "../../../scripts/duebase/restored/steps.ts";
import { runHistory } from "../../../supabase/functions/_duebase/history/runner.ts";
import { connectStripe } from "../../../supabase/functions/_duebase/stripe.ts";
import { impatientClock } from "../../support/account/moving-in.ts";
import { createTestDatabase, type TestDatabase } from "../../support/database.ts";
import { callAsService } from "../../support/delivering.ts";
import { DunningWorld, HOUR, type Subscriber } from "../../support/dunning-world.ts";
import { Random } from "../../support/simulation/random.ts";

/** Templates that are an invoice's receipt. */
const PAID = new Set(["payment-receipt", "payment-recovered"]);

/** What `duebase restored` saw and did. */
export interface Restored {
  emails: EmailMatch;
  calls: { read: number; performed: number };
  list: RestoredEffect[];
  /** The tag of the mail of each of them, by id. */
  tags: Map<string, string>;
  released: Released;
}

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

  /** Restores the backup and does what `duebase restored` does, by the clock of this life. */
  async restore(): Promise<Restored> {
    const { world } = this;
    if (!this.#backup) throw new Error("there is no backup");
    await world.continueOn(this.#backup);
    this.#backup = undefined;
    const { sql } = world.database;
    const { now } = world;
    const restore = await beginRestore(sql, this.#backupAt, now);
    // Nothing leaves by itself from now on.
    await world.deliver();
    const emails = await matchEmails(
      sql,
      new ResendApi({ apiKey: "re_example", apiUrl: world.inbox.apiUrl }),
      { since: new Date(restore.emails_since), now, pause: async () => {} },
    );
    const { secretKey = "", url } = world.parts.stripe ?? { url: "" };
    const callStripe = connectStripe({ secretKey, baseUrl: url });
    const callBilling = callAsService(world.database);
    const { events_from } = (await callBilling(
      "due_history",
      JSON.stringify({ p_now: now.toISOString() }),
    )) as unknown as {
      events_from: string;
    };
    for (const order of [{ kind: "events", eventsFrom: events_from }, { kind: "comparison" }] as const) {
      const run = await runHistory(
        {
          callBilling,
          callStripe,
          secretKey,
          holder: "test",
          clock: impatientClock(),
          now: now.toISOString(),
        },
        order,
      );
      if (run.outcome !== "finished" || run.run.status !== "complete") throw new Error(JSON.stringify(run));
    }
    const calls = await matchCalls(sql, callStripe, { now });
    const list = await listRestored(sql);
    const tagged = await sql<{ id: string; tag: string }[]>`
      select id, billing_private.email_tag(dedupe_key) as tag from billing.outbox where id = any (${list.map(({ id }) => id)})`;
    const open = list.filter(({ outcome }) => outcome === "open").map(({ id }) => id);
    const released = await goLiveAgain(sql, "local", open, now);
    await world.deliver();
    return { emails, calls, list, tags: new Map(tagged.map(({ id, tag }) => [id, tag])), released };
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
