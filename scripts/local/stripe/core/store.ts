import type { FormHash } from "../http/form.ts";
import { type Indexed, type IndexedField, Indexes } from "./indexes.ts";
import type * as wire from "./wire.ts";

/** Stripe's objects by their `object` name. Objects inside others (items, lines) live in their parent. */
export interface Tables {
  account: wire.Account;
  balance_transaction: wire.BalanceTransaction;
  "billing.credit_grant": wire.CreditGrant;
  "billing_portal.configuration": wire.PortalConfiguration;
  "billing_portal.session": wire.PortalSession;
  card: wire.Card;
  charge: wire.Charge;
  "checkout.session": wire.CheckoutSession;
  coupon: wire.Coupon;
  credit_note: wire.CreditNote;
  customer: wire.Customer;
  customer_balance_transaction: wire.CustomerBalanceTransaction;
  discount: wire.Discount;
  dispute: wire.Dispute;
  "entitlements.active_entitlement": wire.ActiveEntitlement;
  "entitlements.feature": wire.Feature;
  invoice: wire.Invoice;
  invoice_payment: wire.InvoicePayment;
  invoiceitem: wire.InvoiceItem;
  payment_intent: wire.PaymentIntent;
  payment_method: wire.PaymentMethod;
  payment_record: wire.PaymentRecord;
  plan: wire.Plan;
  price: wire.Price;
  product: wire.Product;
  product_feature: wire.ProductFeature;
  promotion_code: wire.PromotionCode;
  refund: wire.Refund;
  setup_intent: wire.SetupIntent;
  shipping_rate: wire.ShippingRate;
  subscription: wire.Subscription;
  subscription_schedule: wire.SubscriptionSchedule;
  tax_rate: wire.TaxRate;
  "test_helpers.test_clock": wire.TestClock;
  webhook_endpoint: wire.WebhookEndpoint;
}

export type TableName = keyof Tables;

/** What is left of a deleted object. */
export interface Tombstone {
  id: string;
  object: string;
  deleted: true;
}

/** What a card behind a payment method does; see payments/cards.ts. */
export interface Instrument {
  /** Number of the test card, or the IBAN. */
  number: string;
  /** Authenticated for use while the customer is away. */
  setUp: boolean;
  /** Set through the test helper: the card's own behaviour no longer counts. */
  outcome?: string;
}

/** What Stripe keeps beside its objects and never shows. */
export interface Hidden {
  /** By payment method or card id. */
  instruments: Map<string, Instrument>;
  /** Line items of a checkout session, and what it will create. */
  sessions: Map<string, SessionPlan>;
  /** Old id of a product feature's product: `prodft_…` → `prod_…`. */
  featureProducts: Map<string, string>;
  /** What a subscription was already told of: the end of a trial, the renewal ahead (both in seconds). */
  notices: Map<string, { trial?: number; upcoming?: number }>;
  /** The invoice that a subscription's pending update waits for. */
  pendingUpdates: Map<string, string>;
  /** What a paused subscription becomes once an invoice is paid or (`onSuccess` false) tried to be paid. */
  resumptions: Map<string, Resumption>;
  /** The invoice whose failure paused a subscription. */
  pausedFor: Map<string, string>;
  /** What is left of a credit grant, in the currency's smallest unit. */
  creditLeft: Map<string, number>;
  /** Credit that a draft will use when it is made final. */
  creditUsed: Map<string, { grant: string; amount: number }[]>;
  /** Checkout session of a subscription that was made by one. */
  checkoutSubscriptions: Map<string, string>;
  /** Checkout session of a PaymentIntent. */
  intentSessions: Map<string, string>;
  /** Customer of an active entitlement. */
  entitlementCustomers: Map<string, string>;
}

/** A resumption under way. */
export interface Resumption {
  invoice: string;
  onSuccess: boolean;
  wanted: Pick<wire.Subscription, "items" | "billing_cycle_anchor">;
}

/** What completing a checkout session will do, as decided when it was created. */
export interface SessionPlan {
  lineItems: wire.LineItem[];
  /** Parameters of the subscription to create. */
  subscription: FormHash;
  /** Parameters of the payment to make. */
  payment: FormHash;
  /** Parameters of the card to save. */
  setup: FormHash;
}

/** All of one account's objects, in memory. */
export class Store {
  private readonly tables = new Map<string, Map<string, { id: string; object: string }>>();
  private readonly indexes = new Indexes();
  private journal: { name: string; id: string }[] = [];
  readonly tombstones = new Map<string, Tombstone>();
  readonly hidden: Hidden = {
    instruments: new Map(),
    sessions: new Map(),
    featureProducts: new Map(),
    notices: new Map(),
    pendingUpdates: new Map(),
    resumptions: new Map(),
    pausedFor: new Map(),
    creditLeft: new Map(),
    creditUsed: new Map(),
    checkoutSubscriptions: new Map(),
    intentSessions: new Map(),
    entitlementCustomers: new Map(),
  };

  private table(name: string): Map<string, { id: string; object: string }> {
    let table = this.tables.get(name);
    if (!table) {
      table = new Map();
      this.tables.set(name, table);
    }
    return table;
  }

  /** A point to go back to. */
  mark(): number {
    return this.journal.length;
  }

  /** Forget what was inserted since a point, except the kinds that stay. */
  rollback(mark: number, stays: (name: string) => boolean = () => false): void {
    for (const { name, id } of this.journal.splice(mark)) {
      const object = this.table(name).get(id);
      if (!object || stays(name)) continue;
      this.indexes.remove(object);
      this.table(name).delete(id);
    }
  }

  /** What was inserted so far is there to stay. */
  commit(): void {
    this.journal = [];
  }

  insert<N extends TableName>(object: Tables[N] & { object: N }): Tables[N] & { object: N } {
    this.table(object.object).set(object.id, object);
    this.indexes.add(object);
    this.journal.push({ name: object.object, id: object.id });
    return object;
  }

  get<N extends TableName>(name: N, id: string): Tables[N] | undefined {
    // insert() is the only way in, so what lies in a table has the table's type.
    return this.table(name).get(id) as Tables[N] | undefined;
  }

  /** Every object of a kind, oldest first. */
  all<N extends TableName>(name: N): Tables[N][] {
    return [...this.table(name).values()] as Tables[N][];
  }

  /** The objects of a kind that satisfy a condition, oldest first. */
  where<N extends TableName>(name: N, condition: (object: Tables[N]) => boolean): Tables[N][] {
    const found: Tables[N][] = [];
    for (const object of this.table(name).values()) {
      if (condition(object as Tables[N])) found.push(object as Tables[N]);
    }
    return found;
  }

  /** The objects of a kind that name another one in a field, oldest first; quick however many there are. */
  related<N extends Indexed>(name: N, field: IndexedField<N>, value: string): Tables[N][] {
    const found: Tables[N][] = [];
    for (const id of this.indexes.find(name, field, value)) {
      const object = this.get(name, id);
      if (object) found.push(object);
    }
    return found;
  }

  count(name: TableName): number {
    return this.table(name).size;
  }

  delete(name: TableName, id: string): Tombstone {
    const object = this.table(name).get(id);
    if (object) this.indexes.remove(object);
    this.table(name).delete(id);
    const tombstone: Tombstone = { id, object: name, deleted: true };
    this.tombstones.set(id, tombstone);
    return tombstone;
  }

  /** Whatever an id names, deleted or not; for expansion. */
  find(id: string): { id: string; object: string } | undefined {
    for (const table of this.tables.values()) {
      const object = table.get(id);
      if (object) return object;
    }
    return this.tombstones.get(id);
  }

  /** Replace a piece of text wherever it occurs, as when the server has moved to another port. */
  rewrite(from: string, to: string): void {
    for (const table of this.tables.values()) {
      for (const object of table.values()) {
        const text = JSON.stringify(object);
        if (text.includes(from)) Object.assign(object, JSON.parse(text.replaceAll(from, to)));
      }
    }
  }

  /** Everything as plain JSON, and back. */
  dump(): StoreDump {
    return {
      tables: Object.fromEntries([...this.tables].map(([name, table]) => [name, [...table.values()]])),
      tombstones: [...this.tombstones.values()],
      hidden: Object.fromEntries(
        Object.entries(this.hidden).map(([name, map]: [string, Map<string, unknown>]) => [name, [...map]]),
      ),
    };
  }

  restore(dump: StoreDump): void {
    for (const [name, objects] of Object.entries(dump.tables)) {
      for (const object of objects) {
        this.table(name).set(object.id, object);
        this.indexes.add(object);
      }
    }
    for (const tombstone of dump.tombstones) this.tombstones.set(tombstone.id, tombstone);
    for (const [name, map] of Object.entries(this.hidden) as [string, Map<string, unknown>][]) {
      for (const [key, value] of dump.hidden[name] ?? []) map.set(key, value);
    }
  }
}

export interface StoreDump {
  tables: Record<string, { id: string; object: string }[]>;
  tombstones: Tombstone[];
  hidden: Record<string, [string, unknown][]>;
}
