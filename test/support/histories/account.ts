import { API_VERSIONS, type ApiVersion, inShapeOf, NEWEST, type PaymentLinks } from "../old-shapes.ts";
import type { Random } from "../simulation/random.ts";
import { previousAttributes, type StripeEvent, type StripeObject, stripeEvent } from "../stripe/events.ts";

/** One thing that happens to the database: an event arrives, an event is replayed, an object is read, a user signs up. */
export type Step =
  /** Withheld: it comes while the settings have the other mode, and is quarantined until it is replayed. */
  | { kind: "event"; event: StripeEvent; isWithheld?: true }
  | { kind: "replay"; id: string }
  | { kind: "read"; object: StripeObject; at: number }
  | { kind: "signUp"; userId: string };

/** What an object says about whose customer it is: which kind of object, and when. */
export interface OwnerHint {
  customer: string;
  source: "checkout_session" | "customer" | "subscription" | "client_reference" | "payment_link";
  user: string;
  at: number;
}

/** A payment method that became the default of a customer or a subscription, or was renewed by its bank. */
export interface GivenCard {
  object: string;
  /** Empty where a subscription changes to its customer's default. */
  method: string;
  isRenewal: boolean;
  at: number;
}

/** Kinds of objects whose state is kept, so that one can be read from Stripe. */
const READABLE = [
  "customer",
  "product",
  "price",
  "subscription",
  "invoice",
  "invoice_payment",
  "payment_record",
  "payment_intent",
  "charge",
  "refund",
  "dispute",
  "payment_method",
  "checkout.session",
  "entitlements.active_entitlement_summary",
];

/** Statuses after which no earlier one can follow. */
const LATE = [
  "succeeded",
  "canceled",
  "paid",
  "void",
  "uncollectible",
  "incomplete_expired",
  "open",
  "failed",
  "won",
  "lost",
  "warning_closed",
];

/**
 * A Stripe account. It keeps objects, changes them, and reports every change as Stripe does: in whole seconds, in the
 * shape of the API version it has at that time. It also knows what is true where no event tells it.
 */
export class Account {
  /** Part of every id, so that many histories and many deliveries of one can share a database. */
  readonly tag: string;
  readonly random: Random;
  readonly steps: Step[] = [];
  readonly users: string[] = [];
  /** Newest state of every object, deleted ones included. */
  readonly objects = new Map<string, StripeObject>();
  /** Second of the last event that tells an object's state. */
  readonly lastTold = new Map<string, number>();
  readonly deletedAt = new Map<string, number>();
  /** When an object was last read from Stripe. */
  readonly readAt = new Map<string, number>();
  /** By `type object`: the second of the first event of that type about the object. */
  readonly firstTold = new Map<string, number>();
  /** Invoice of a payment, once an event has told it. */
  readonly toldInvoiceOf = new Map<string, string>();
  /** Customer of a payment method. Once detached, the method itself no longer names its customer. */
  readonly customerOf = new Map<string, string>();
  readonly ownerHints: OwnerHint[] = [];
  readonly givenCards: GivenCard[] = [];
  /** `object second` where the events may not tell the order. Nothing else may be read from Stripe. */
  readonly mayBeUnclear = new Set<string>();
  /** `object second` where no reader of the events could tell the order. */
  readonly isUnclear = new Set<string>();
  now: number;
  version: ApiVersion;

  /** Objects whose last event had an older shape, in which they may have fewer fields. */
  readonly toldInOldShape = new Set<string>();

  readonly #paymentOfInvoice = new Map<string, { payment_intent: string | null; charge: string | null }>();
  readonly #invoiceOfPayment = new Map<string, string>();
  readonly #seconds = new Map<string, Second>();
  /** Account (v2) of a customer, once an event has told of it. */
  readonly #toldAccounts = new Map<string, string>();
  /** Whether an object names only the account, and no customer. */
  readonly #namesAccountAlone = new Map<string, boolean>();
  readonly #links: PaymentLinks = {
    ofInvoice: (invoice) => this.#paymentOfInvoice.get(invoice),
    ofPayment: (payment) => this.#invoiceOfPayment.get(payment),
  };

  constructor(tag: string, random: Random) {
    this.tag = tag;
    this.random = random;
    this.now = 1_780_000_000 + random.int(0, 10_000_000);
    this.version = random.pick(API_VERSIONS);
  }

  id(kind: string): string {
    return `${kind}_${this.tag}x${this.random.token(10)}`;
  }

  /** Lets time pass. Often none passes, so that many things happen within one second. */
  pass(): void {
    if (this.random.chance(0.5)) return;
    const before = this.now;
    this.now += this.random.pick([1, 1, 2, 60, 3600, 86_400, 7 * 86_400]);
    // The object is read in a second without events: otherwise the read would be repeated.
    if (this.now > before + 1 && this.objects.size > 0 && this.random.chance(0.2))
      this.#read(this.random.pick([...this.objects.keys()]), before + 1);
  }

  /** An object as Stripe returns it. Of a deleted object it returns a stub, except for subscriptions. */
  asAnswered(id: string): StripeObject {
    const kept = this.get(id);
    const isGone = this.deletedAt.has(id) && kept.object !== "subscription";
    return isGone ? { id, object: kept.object, deleted: true } : this.#named(structuredClone(kept));
  }

  /** From here on payloads have the shape of a newer version. */
  upgrade(): void {
    const later = API_VERSIONS.filter((version) => version > this.version);
    if (later.length > 0) this.version = this.random.pick(later);
  }

  /** An object as it is now. */
  get<T = StripeObject>(id: string): T {
    const object = this.objects.get(id);
    if (!object) throw new Error(`no object ${id}`);
    return object as T;
  }

  /** Keeps a new object and reports it, in the order of the types given. */
  create(object: { id: string; object: string }, ...types: string[]): void {
    this.objects.set(object.id, structuredClone(object) as StripeObject);
    for (const type of types) this.#report(type, object.id);
  }

  /**
   * Changes an object and reports it: by `<kind>.updated` with previous_attributes where `updated` names that type, and
   * by the further types. Stripe sends them in the same second in no particular order.
   */
  change(id: string, patch: object, updated: string | null, ...further: string[]): void {
    const before = this.get(id);
    const after = { ...before, ...structuredClone(patch) } as StripeObject;
    this.objects.set(id, after);
    this.#noteGivenCard(before, after, updated);
    const reports = [...further.map((type) => ({ type, with: undefined as StripeObject | undefined }))];
    if (updated) reports.push({ type: updated, with: before });
    for (const report of this.random.shuffled(reports)) this.#report(report.type, id, report.with);
  }

  /** Changes an object and reports nothing. */
  changeUnseen(id: string, patch: object): void {
    this.objects.set(id, { ...this.get(id), ...structuredClone(patch) } as StripeObject);
  }

  /** Reports something that has no id and no state, such as an upcoming invoice. */
  announce(type: string, { id: _id, ...object }: { id: string; object: string }): void {
    const shown = inShapeOf(this.version, object as StripeObject, this.#links);
    if (shown) this.#push(type, shown);
  }

  /** Reports an object again, unchanged. */
  tell(id: string, type: string): void {
    this.#report(type, id);
  }

  /** Deletes an object and reports it with its last state, or as a stub without one. */
  remove(id: string, type: string, patch: object, asStub: boolean): void {
    const kept = asStub ? this.get(id) : ({ ...this.get(id), ...patch } as StripeObject);
    this.objects.set(id, kept);
    this.deletedAt.set(id, this.now);
    if (asStub) this.#push(type, { id, object: kept.object, deleted: true });
    else this.#report(type, id);
  }

  /** Sets an attribute to another value and back within this second. No reader can tell which came last. */
  flip(id: string, there: object, updated: string): void {
    const before = this.get(id);
    this.change(id, there, updated);
    this.change(id, Object.fromEntries(Object.keys(there).map((key) => [key, before[key]])), updated);
    this.isUnclear.add(`${id} ${this.now}`);
  }

  /** Records which payment an invoice has. Older shapes tell it at once, newer ones when it is paid. */
  linkPayment(invoice: string, payment: { payment_intent: string | null; charge: string | null }): void {
    this.#paymentOfInvoice.set(invoice, payment);
    if (payment.payment_intent) this.#invoiceOfPayment.set(payment.payment_intent, invoice);
    else if (payment.charge) this.#invoiceOfPayment.set(payment.charge, invoice);
  }

  paymentOf(invoice: string): { payment_intent: string | null; charge: string | null } | undefined {
    return this.#paymentOfInvoice.get(invoice);
  }

  /** A user's id. `signsUp` says whether that user ever signs up. */
  newUser(signsUp: boolean): string {
    const id = `${this.tag}-0000-4000-8000-${String(this.users.length + (signsUp ? 0 : 500)).padStart(12, "0")}`;
    if (signsUp) this.users.push(id);
    return id;
  }

  #read(id: string, at: number): void {
    if (!READABLE.includes(this.get(id).object) || !this.lastTold.has(id)) return;
    this.steps.push({ kind: "read", object: this.asAnswered(id), at });
    this.readAt.set(id, at);
    this.toldInOldShape.delete(id);
    const record = recordOf(this.get(id));
    if (record) this.mayBeUnclear.add(`${record} ${at}`);
  }

  /** Notes a given card. By the contract that is a default that changes, or a renewal by the bank. */
  #noteGivenCard(before: StripeObject, after: StripeObject, updated: string | null): void {
    const object = after.id ?? "";
    const give = (method: string, isRenewal = false) =>
      this.givenCards.push({ object, method, isRenewal, at: this.now });
    if (after.object === "payment_method") {
      const isRenewed = JSON.stringify(before.card) !== JSON.stringify(after.card);
      if (isRenewed || updated === "payment_method.automatically_updated") give(object, true);
      return;
    }
    const [was, is] = [before, after].map(defaultCardOf);
    if (updated === null || was === is) return;
    if (is) give(is);
    else if (after.object === "subscription") give("");
  }

  #report(type: string, id: string, before?: StripeObject): void {
    const state = this.get(id);
    const shaped = inShapeOf(this.version, state, this.#links);
    if (!shaped) return;
    const object = asSent(shaped);
    const earlier = before && inShapeOf(this.version, before, this.#links);
    const was = earlier && asSent(earlier);
    if (object.object === "customer" && object.customer_account)
      this.#toldAccounts.set(id, String(object.customer_account));
    this.#noteOrder(id, state, type, before);
    this.lastTold.set(id, this.now);
    if (this.version !== NEWEST) this.toldInOldShape.add(id);
    else if (this.#seconds.get(`${id} ${this.now}`)?.versions.size === 1) this.toldInOldShape.delete(id);
    this.#noteFacts(type, object);
    const sent = this.#named(object);
    this.#push(type, sent, was ? previousAttributes(this.#named(was), sent) : undefined);
  }

  /**
   * An object with the account of its customer, as in the newest version: beside the customer, or in half of the objects
   * alone. Only once an event has told which customer the account is: before that nothing could be known.
   */
  #named(object: StripeObject): StripeObject {
    const account = this.#toldAccounts.get(String(object.customer));
    if (account === undefined || !("customer_account" in object) || object.object === "customer")
      return object;
    const id = object.id ?? "";
    const isAlone = this.#namesAccountAlone.get(id) ?? this.random.chance(0.5);
    this.#namesAccountAlone.set(id, isAlone);
    return { ...object, customer_account: account, ...(isAlone ? { customer: null } : {}) };
  }

  #push(type: string, object: StripeObject, previous?: Record<string, unknown>): void {
    const event = stripeEvent({
      id: this.id("evt"),
      type,
      created: this.now,
      api_version: this.version,
      object,
      previous,
    });
    this.steps.push({ kind: "event", event });
  }

  /** Notes the states that an object had within this second, and whether the events still tell which was last. */
  #noteOrder(id: string, state: StripeObject, type: string, before?: StripeObject): void {
    const name = `${id} ${this.now}`;
    const second = this.#seconds.get(name) ?? { known: new Set(), last: undefined, versions: new Set() };
    this.#seconds.set(name, second);
    second.versions.add(this.version);
    this.isUnclear.delete(name);

    const changed = before && previousAttributes(before, state);
    const returns =
      changed && [...second.known].some((one) => one !== before && returnsTo(one, state, changed));
    // Without previous_attributes only one of the late statuses tells what was last.
    const isToldByStatus = second.last?.status !== state.status && LATE.includes(String(state.status));
    const isUntold = !before && second.last !== undefined && second.last !== state && !isToldByStatus;
    if (returns || isUntold || second.versions.size > 1) this.mayBeUnclear.add(name);

    if (before) second.known.add(before);
    second.known.add(state);
    // A creation always comes first, so its order is known.
    if (!type.endsWith(".created")) second.last = state;
  }

  /** Notes what an event tells besides its object's state. `object` has the shape in which it is sent. */
  #noteFacts(type: string, object: StripeObject): void {
    const id = object.id ?? "";
    if (!this.firstTold.has(`${type} ${id}`)) this.firstTold.set(`${type} ${id}`, this.now);
    if (object.object === "payment_intent" && typeof object.invoice === "string")
      this.toldInvoiceOf.set(id, object.invoice);
    if (object.object === "charge" && typeof object.invoice === "string")
      this.toldInvoiceOf.set((object.payment_intent as string | null) ?? id, object.invoice);
    if (object.object === "invoice_payment") {
      const payment = object.payment as { payment_intent?: string; charge?: string };
      const record = recordOf(object);
      this.toldInvoiceOf.set(
        record ?? payment.payment_intent ?? payment.charge ?? "",
        object.invoice as string,
      );
      if (record) {
        // No event tells of a record, so it has to be read.
        this.lastTold.set(record, this.now);
        this.mayBeUnclear.add(`${record} ${this.now}`);
      }
    }
    if (object.object === "payment_method" && typeof object.customer === "string")
      this.customerOf.set(id, object.customer);
    const user = (object.metadata as Record<string, string> | undefined)?.owner_id;
    if (user && (type === "customer.created" || type === "customer.updated"))
      this.ownerHints.push({ customer: id, source: "customer", user, at: this.now });
    if (user && (type === "customer.subscription.created" || type === "customer.subscription.updated"))
      this.ownerHints.push({
        customer: object.customer as string,
        source: "subscription",
        user,
        at: this.now,
      });
    if (type === "checkout.session.completed" && object.customer) {
      // Metadata wins over a reference. The reference of a Payment Link was written by the payer.
      const hint = object.payment_link ? "payment_link" : "client_reference";
      const named = user || (object.client_reference_id as string | null);
      if (named)
        this.ownerHints.push({
          customer: object.customer as string,
          source: user ? "checkout_session" : hint,
          user: named,
          at: this.now,
        });
    }
  }
}

/** The payment record that an invoice payment names. */
function recordOf(object: StripeObject): string | undefined {
  if (object.object !== "invoice_payment") return undefined;
  return (object.payment as { payment_record?: string }).payment_record;
}

/** The default payment method of a customer or a subscription. */
function defaultCardOf(object: StripeObject): string | null | undefined {
  if (object.object === "subscription") return object.default_payment_method as string | null;
  if (object.object !== "customer") return undefined;
  return (object.invoice_settings as { default_payment_method: string | null }).default_payment_method;
}

/** What happened to an object within a second. */
interface Second {
  /** Its states, and those before each change. */
  known: Set<StripeObject>;
  last: StripeObject | undefined;
  versions: Set<ApiVersion>;
}

/** Whether one of the changed attributes has the value that it had before. */
function returnsTo(earlier: unknown, state: unknown, changed: unknown): boolean {
  if (!isRecord(earlier) || !isRecord(state) || !isRecord(changed))
    return JSON.stringify(earlier ?? null) === JSON.stringify(state ?? null);
  return Object.keys(changed).some((key) => returnsTo(earlier[key], state[key], changed[key]));
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/** Entitlement summaries are sent without an id, and cut off after two entries, so that there often are more. */
function asSent(object: StripeObject): StripeObject {
  if (object.object !== "entitlements.active_entitlement_summary") return object;
  const { id: _id, ...sent } = object;
  const { data, ...list } = sent.entitlements as { data: object[] };
  return { ...sent, entitlements: { ...list, data: data.slice(0, 2), has_more: data.length > 2 } };
}
