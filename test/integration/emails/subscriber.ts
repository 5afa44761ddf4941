import { expect } from "vitest";
import { type Inbox, startInbox } from "../../../scripts/local/inbox/server.ts";
import type { Price, Subscription } from "../../../scripts/local/stripe/core/wire.ts";
import { createTestDatabase, type TestDatabase } from "../../support/database.ts";
import { type DeliverParts, deliver } from "../../support/delivering.ts";
import { NEWEST } from "../../support/old-shapes.ts";
import { price, product } from "../../support/stripe/catalogue.ts";
import { customer } from "../../support/stripe/customers.ts";
import { previousAttributes, type StripeEvent, stripeEvent } from "../../support/stripe/events.ts";
import { subscription, subscriptionItem } from "../../support/stripe/subscriptions.ts";

export const DAY = 86_400;
/** 2026-10-01T09:00:00Z, when the story begins; all times are seconds since the epoch. */
export const NOW = 1_790_845_200;
export const at = (seconds: number) => new Date(seconds * 1000);

/** Prices of Ada's story, by name; amounts are in cents. */
export type PriceName = keyof typeof prices;
const recurring = (interval: "month" | "year", count = 1) => ({
  interval,
  interval_count: count,
  meter: null,
  trial_period_days: null,
  usage_type: "licensed" as const,
});
const made = { created: NOW - 400 * DAY };
export const prices = {
  studio: price({ id: "price_Studio", product: "prod_Studio", unit_amount: 4900, ...made }),
  studioAgain: price({ id: "price_StudioAgain", product: "prod_Studio", unit_amount: 4900, ...made }),
  studioDearer: price({ id: "price_StudioDearer", product: "prod_Studio", unit_amount: 5900, ...made }),
  atelier: price({ id: "price_Atelier", product: "prod_Atelier", unit_amount: 9900, ...made }),
  yearly: price({
    id: "price_Yearly",
    product: "prod_Studio",
    unit_amount: 49_000,
    recurring: recurring("year"),
    ...made,
  }),
  halfYearly: price({
    id: "price_HalfYearly",
    product: "prod_Studio",
    unit_amount: 26_000,
    recurring: recurring("month", 6),
    ...made,
  }),
  quarterly: price({
    id: "price_Quarterly",
    product: "prod_Studio",
    unit_amount: 14_000,
    recurring: recurring("month", 3),
    ...made,
  }),
  free: price({
    id: "price_Free",
    product: "prod_Studio",
    unit_amount: 0,
    recurring: recurring("year"),
    ...made,
  }),
} satisfies Record<string, Price>;

/** An item of Ada's subscription. */
export interface Item {
  price: PriceName;
  quantity?: number;
}
type Values = Partial<Omit<Subscription, "items">>;

/** Ada's subscription, in the newest shape: by default a month of Studio that began at `NOW`. */
export function subscribed(
  values: Values = {},
  items: Item[] = [{ price: "studio" }],
  period: { start?: number; end?: number } = {},
): Subscription {
  const { start = NOW, end = NOW + 30 * DAY } = period;
  return subscription({
    id: "sub_Ada",
    created: NOW,
    customer: "cus_Ada",
    default_payment_method: "pm_Visa",
    ...values,
    items: items.map(({ price: name, quantity = 1 }, index) =>
      subscriptionItem({
        id: `si_Ada${index}`,
        created: NOW,
        subscription: "sub_Ada",
        price: prices[name],
        quantity,
        current_period_start: start,
        current_period_end: end,
      }),
    ),
  });
}

export const card = (values: object = {}) => ({
  id: "pm_Visa",
  object: "payment_method",
  type: "card",
  created: NOW,
  livemode: false,
  metadata: {},
  customer: "cus_Ada",
  card: { brand: "visa", last4: "4242", exp_month: 12, exp_year: 2030 },
  ...values,
});

/** A mail as Ada, or the operator, reads it; its no-break spaces are spaces here. */
export interface Read {
  to: string[];
  subject: string;
  text: string;
  html: string;
}

/** Ada, what Stripe tells of her, and the inbox that her mails end in. */
export interface Subscriber {
  database: TestDatabase;
  /** Switches emails on that are off by default. */
  switchOn(...names: string[]): Promise<void>;
  /** An event about an object. `before`: what the object was, for previous_attributes. */
  event(type: string, created: number, object: object, before?: object): StripeEvent;
  /** Stripe tells of it, a second after it happened unless said otherwise. */
  receive(event: StripeEvent, seconds?: number): Promise<void>;
  /** Both at once. */
  tell(type: string, created: number, object: object, before?: object): Promise<void>;
  /** Runs deliver, and returns everything that ever came into the inbox, oldest first. */
  mailsAt(seconds: number, parts?: Partial<DeliverParts>): Promise<Read[]>;
  /** Why mails were not sent, in order. */
  skipped(): Promise<string[]>;
  close(): Promise<void>;
}

/** A database with a catalogue and Ada, who reads this language, and an inbox of their own. */
export async function startSubscriber(locale: string): Promise<Subscriber> {
  const database = await createTestDatabase();
  let clock = NOW;
  const inbox: Inbox = await startInbox({
    port: 0,
    mailbox: false,
    ratePerSecond: Number.POSITIVE_INFINITY,
    now: () => at(clock),
  });
  let events = 0;
  const it: Subscriber = {
    database,
    async switchOn(...names) {
      await database.sql`update billing.settings set emails_on = ${names}, app_name = 'Northlight' where id`;
    },
    event(type, created, object, before) {
      return stripeEvent({
        id: `evt_Ada${++events}`,
        type,
        created,
        api_version: NEWEST,
        object: object as StripeEvent["data"]["object"],
        previous: before && previousAttributes(before, object),
      });
    },
    async receive(event, seconds = event.created + 1) {
      expect(await database.receive(event, at(seconds))).toBe("processed");
    },
    tell: (type, created, object, before) => it.receive(it.event(type, created, object, before)),
    async mailsAt(seconds, parts = {}) {
      clock = seconds;
      await deliver({ database, resend: { url: inbox.apiUrl }, ...parts }, at(seconds));
      const plain = (text: string) => text.replaceAll("\u00a0", " ");
      return inbox.emails().map(({ to, subject, text, html }) => ({
        to: [to].flat(),
        subject: plain(subject),
        text: plain(text ?? ""),
        html: html ?? "",
      }));
    },
    async skipped() {
      const rows = await database.sql<{ reason: string }[]>`
        select detail ->> 'reason' as reason from billing.audit_events where action = 'email.skipped' order by id
      `;
      return rows.map(({ reason }) => reason);
    },
    async close() {
      await inbox.close();
      await database.drop();
    },
  };
  await it.tell("product.created", NOW - 400 * DAY, product({ id: "prod_Studio", name: "Studio", ...made }));
  await it.tell(
    "product.created",
    NOW - 400 * DAY,
    product({ id: "prod_Atelier", name: "Atelier", ...made }),
  );
  for (const one of Object.values(prices)) await it.tell("price.created", NOW - 400 * DAY, one);
  await it.tell(
    "customer.created",
    NOW,
    customer({
      id: "cus_Ada",
      created: NOW,
      email: "ada@example.com",
      name: "Ada",
      preferred_locales: [locale],
    }),
  );
  await it.tell("payment_method.attached", NOW, card());
  return it;
}
