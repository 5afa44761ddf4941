import { type Inbox, type InboxOptions, startInbox } from "../../../scripts/local/inbox/server.ts";
import type { Invoice, Subscription } from "../../../scripts/local/stripe/core/wire.ts";
import { createTestDatabase, type TestDatabase } from "../../support/database.ts";
import { deliver } from "../../support/delivering.ts";
import { type ApiVersion, inShapeOf, linksOf, NEWEST } from "../../support/old-shapes.ts";
import { price, product } from "../../support/stripe/catalogue.ts";
import { customer } from "../../support/stripe/customers.ts";
import { previousAttributes, type StripeObject, stripeEvent } from "../../support/stripe/events.ts";
import { type InvoiceValues, invoice } from "../../support/stripe/invoices.ts";
import { subscription, subscriptionItem } from "../../support/stripe/subscriptions.ts";

export const DAY = 86_400;
export const HOUR = 3_600;
/** 2026-10-05T08:00:00Z, when the period begins whose invoice is not paid. */
export const START = 1_791_187_200;
export const CUSTOMER = "cus_Told";
export const SUBSCRIPTION = "sub_Told";
export const INVOICE = "in_Told";

const plan = product({
  id: "prod_Told",
  created: START - 90 * DAY,
  name: "Studio",
  metadata: { features: "reports" },
});
const monthly = price({ id: "price_Told", created: START - 90 * DAY, product: plan.id, unit_amount: 2000 });

function item() {
  return subscriptionItem({
    id: "si_Told",
    created: START - 60 * DAY,
    subscription: SUBSCRIPTION,
    price: monthly,
    current_period_start: START,
    current_period_end: START + 31 * DAY,
  });
}

/** Somebody's monthly subscription over EUR 20.00, in flexible billing mode. */
export function told(values: Partial<Omit<Subscription, "items">> = {}): Subscription {
  return subscription({
    id: SUBSCRIPTION,
    created: START - 60 * DAY,
    customer: CUSTOMER,
    items: [item()],
    latest_invoice: INVOICE,
    billing_mode: { flexible: { proration_discounts: "included" }, type: "flexible" },
    ...values,
  });
}

/** As `told`, paused by Stripe; `cause` as its status_details have it, undefined where the version has none. */
export function paused(
  cause: string | undefined,
  at: number,
  values: Partial<Omit<Subscription, "items">> = {},
): Subscription {
  const details = {
    paused: { subscription: { type: cause ?? "" }, transitioned_at: at, type: "subscription" },
  };
  return told({ status: "paused", ...(cause === undefined ? {} : { status_details: details }), ...values });
}

/** An open invoice of the subscription whose first attempt has failed. */
export function unpaid(values: Partial<InvoiceValues> = {}): Invoice {
  return invoice({
    id: INVOICE,
    created: START,
    customer: CUSTOMER,
    subscription: SUBSCRIPTION,
    items: [item()],
    status: "open",
    number: "EX-0007",
    attempted: true,
    attempt_count: 1,
    next_payment_attempt: START + 3 * DAY,
    hosted_invoice_url: "https://invoice.example.com/told",
    status_transitions: {
      finalized_at: START + HOUR,
      marked_uncollectible_at: null,
      paid_at: null,
      voided_at: null,
    },
    ...values,
  });
}

/** An invoice as it is once it is paid, with as much money as `paidWith` says (minor units). */
export function paidInvoice(of: Invoice, at: number, paidWith = of.amount_due): Invoice {
  return {
    ...of,
    status: "paid",
    amount_due: paidWith,
    amount_paid: paidWith,
    amount_remaining: 0,
    pre_payment_credit_notes_amount: of.total - paidWith,
    next_payment_attempt: null,
    status_transitions: { ...of.status_transitions, paid_at: at },
  };
}

/** A database that is told Stripe's events one by one, and by no Stripe: what may be due is confirmed as it is known. */
export class ToldDatabase {
  readonly database: TestDatabase;
  readonly #inbox: Inbox;
  readonly #clock: { now: Date };
  readonly #version: ApiVersion;
  #events = 0;

  private constructor(database: TestDatabase, inbox: Inbox, clock: { now: Date }, version: ApiVersion) {
    this.database = database;
    this.#inbox = inbox;
    this.#clock = clock;
    this.#version = version;
  }

  /** With the catalogue, a customer who is a user, and their subscription as `begun` has it. */
  static async open(
    begun = told(),
    version: ApiVersion = NEWEST,
    inboxes: Partial<InboxOptions> = {},
  ): Promise<ToldDatabase> {
    const clock = { now: new Date(START * 1000) };
    const database = await createTestDatabase();
    const inbox = await startInbox({
      port: 0,
      mailbox: false,
      ratePerSecond: Number.POSITIVE_INFINITY,
      now: () => clock.now,
      ...inboxes,
    });
    const it = new ToldDatabase(database, inbox, clock, version);
    const user = await database.signUp();
    await it.tell("product.created", plan.created, plan);
    await it.tell("price.created", monthly.created, monthly);
    const payer = customer({
      id: CUSTOMER,
      created: START - 60 * DAY,
      email: "told@example.com",
      metadata: { owner_id: user },
    });
    await it.tell("customer.created", payer.created, payer);
    await it.tell("customer.subscription.created", begun.created, begun);
    return it;
  }

  async close(): Promise<void> {
    await this.#inbox.close();
    await this.database.drop();
  }

  /** One event, in the shape of the database's API version; `before` is what its object was. */
  async tell(type: string, at: number, object: object, before?: object): Promise<void> {
    const shaped = inShapeOf(this.#version, object as StripeObject, linksOf([]));
    const old = before && inShapeOf(this.#version, before as StripeObject, linksOf([]));
    if (!shaped) return;
    const event = stripeEvent({
      id: `evt_Told${++this.#events}`,
      type,
      created: at,
      api_version: this.#version,
      object: shaped,
      previous: old ? previousAttributes(old, shaped) : undefined,
    });
    this.#clock.now = new Date((at + 1) * 1000);
    const outcome = await this.database.receive(event, this.#clock.now);
    if (outcome !== "processed") {
      const [failure] = await this.database
        .sql`select error from billing.failed_webhooks where event_id = ${event.id}`;
      throw new Error(`${type}: ${outcome} ${JSON.stringify(failure)}`);
    }
  }

  /** The first attempt at an invoice fails, an hour into its period where nothing else is said. */
  async fail(of: Invoice = unpaid(), at = START + HOUR): Promise<void> {
    if (of.parent) await this.tell("customer.subscription.updated", at, told({ status: "past_due" }), told());
    await this.tell("invoice.payment_failed", at, of);
  }

  /** One evaluation of the customer's cases, where Stripe confirms all that is known. Returns its counts. */
  async evaluate(at: number): Promise<Record<string, number>> {
    this.#clock.now = new Date(at * 1000);
    const checked = new Set<string>();
    for (let round = 0; round < 8; round++) {
      const [row] = await this.database.asService(
        (sql) =>
          sql`select billing.take_dunning_steps(${CUSTOMER}, ${[...checked]}::text[], ${this.#clock.now}) as a`,
      );
      const answer = row?.a as { read?: { id: string }[] } & Record<string, number>;
      if (!answer.read) return answer;
      for (const { id } of answer.read) checked.add(id);
    }
    throw new Error("the evaluation keeps asking for more");
  }

  /** Renders and sends what is due of the mails; what is due at Stripe waits. */
  async sendMails(at: number): Promise<void> {
    this.#clock.now = new Date(at * 1000);
    await this.database.sql`
      update billing.outbox set run_after = ${new Date((at + 400 * DAY) * 1000)}
      where kind not in ('email', 'alert') and status = 'pending'`;
    const parts = {
      database: this.database,
      resend: { url: this.#inbox.apiUrl },
      budget: { wallMs: 60_000 },
    };
    await deliver(parts, this.#clock.now);
    await this.#inbox.settled();
  }

  /** `template reason` of the emails that are enqueued or gone, in order. */
  async mails(): Promise<string[]> {
    const rows = await this.database.sql<{ mail: string }[]>`
      select concat_ws(' ', payload ->> 'template', coalesce(payload #>> '{props,reason}', payload #>> '{props,outcome}')) as mail
      from billing.outbox where kind = 'email' and status <> 'canceled' order by id`;
    return rows.map(({ mail }) => mail);
  }

  /** What came into the inbox, in order: template, headers, what it says, and the files it carries by name. */
  received(): {
    template: string;
    headers: Record<string, string>;
    locale: string;
    text: string;
    files: Record<string, string>;
  }[] {
    return this.#inbox.emails().map(({ id, tags, subject, html, text }) => ({
      template: tags?.find(({ name }) => name === "template")?.value ?? "",
      headers: this.#inbox.enclosed(id)?.headers ?? {},
      locale: html?.match(/<html[^>]* lang="([^"]+)"/)?.[1] ?? "",
      text: `${subject}\n${text}`,
      files: Object.fromEntries(
        (this.#inbox.enclosed(id)?.attachments ?? []).map(({ filename, content }) => [
          filename,
          Buffer.from(content, "base64").toString(),
        ]),
      ),
    }));
  }

  /** The plain text of the newest mail of a template. */
  async text(template: string): Promise<string> {
    const [row] = await this.database.sql<{ text: string }[]>`
      select subject || E'\n' || text as text from billing.emails
      where template = ${template} order by outbox_id desc limit 1`;
    return row?.text ?? "";
  }

  async cases(): Promise<
    {
      subject_id: string;
      status: string;
      outcome: string | null;
      amount_due: number;
      amount_recovered: number;
    }[]
  > {
    return this.database.sql`
      select subject_id, status, outcome, amount_due::int, amount_recovered::int from billing.dunning_cases order by id`;
  }

  /** What the customer's user may use. */
  async features(): Promise<string[]> {
    const rows = await this.database.sql<
      { feature: string }[]
    >`select feature from billing.entitlements order by 1`;
    return rows.map(({ feature }) => feature);
  }
}
