import { DAY, HOUR } from "../dunning-world.ts";
import { Random } from "../simulation/random.ts";
import type { FaultKind } from "./faults.ts";
import { POLICIES } from "./policies.ts";

/** The moment at which every world begins. */
export const START = new Date("2026-03-02T00:00:00Z");
/** How many days customers act. After them only Stripe and the daily run do something. */
export const ACTIVE_DAYS = 28;
/** How many quiet days follow: enough for the longest ladder and the three days after its warning. */
export const QUIET_DAYS = 17;

export const ACTION_KINDS = [
  "break_card",
  "mend_card",
  "pay",
  "pay_elsewhere",
  "pay_part",
  "new_card",
  "new_subscription_card",
  "confirm",
  "disputed_purchase",
  "decide_dispute",
  "void",
  "write_off",
  "leave_at_period_end",
  "leave_on_a_day",
  "stay_after_all",
  "leave_now",
  "pause",
  "resume",
  "delete_customer",
  "change_address",
  "hold",
  "exclude",
  "release",
  "close_by_hand",
  "open_by_hand",
  "card_in_portal",
  "credit",
  "give_balance",
  "pay_by_record",
  "upgrade",
  "pause_at_stripe",
  "resume_at_stripe",
  "leave_with_usage",
  "mistype_address",
  "correct_address",
] as const;
export type ActionKind = (typeof ACTION_KINDS)[number];

/** How often each action is drawn, relative to the others. */
const WEIGHTS: Record<ActionKind, number> = {
  break_card: 14,
  mend_card: 8,
  pay: 12,
  pay_elsewhere: 8,
  pay_part: 6,
  new_card: 8,
  new_subscription_card: 4,
  confirm: 6,
  disputed_purchase: 3,
  decide_dispute: 4,
  void: 3,
  write_off: 2,
  leave_at_period_end: 3,
  leave_on_a_day: 4,
  stay_after_all: 4,
  leave_now: 2,
  pause: 2,
  resume: 3,
  delete_customer: 1,
  change_address: 2,
  hold: 4,
  exclude: 1,
  release: 4,
  close_by_hand: 1,
  open_by_hand: 1,
  card_in_portal: 7,
  credit: 5,
  give_balance: 2,
  pay_by_record: 4,
  upgrade: 6,
  pause_at_stripe: 2,
  resume_at_stripe: 2,
  leave_with_usage: 3,
  mistype_address: 2,
  correct_address: 3,
};
const CHOICES = ACTION_KINDS.flatMap((kind) => Array.from({ length: WEIGHTS[kind] }, () => kind));

/** Something that a customer, a bank or the operator's staff does. */
export interface PlannedAction {
  /** Milliseconds after the beginning. */
  at: number;
  kind: ActionKind;
  /** From 0 to 1: which of several, how much, for how long. */
  choice: number;
}

export interface PlannedSubscription {
  /** Milliseconds after the beginning at which the first payment is due. */
  firstDueAt: number;
  interval: "week" | "month";
  amount: number;
  currency: string;
  /** Null: charged automatically. */
  daysUntilDue: number | null;
  /** Milliseconds after the beginning at which it ends by its term; null: it has none. */
  term: number | null;
  /** A default payment method of its own, as `pm_card_…`. */
  ownCard: string | null;
  /** Classic billing mode; otherwise flexible, Stripe's default. */
  isClassic: boolean;
}

/** What goes wrong with a customer's events on their way. */
export interface WebhookFaults {
  /** Events are kept back between these; milliseconds after the beginning. */
  late: { from: number; until: number } | null;
  /** How likely each event is lost for good. */
  loses: number;
  /** How likely each event is delivered twice. */
  repeats: number;
  /** Whether events that arrive together arrive in any order. */
  shuffles: boolean;
  /** The settings have the wrong livemode between these. What arrives is quarantined, and replayed afterwards. */
  quarantined: { from: number; until: number } | null;
}

export interface PlannedCustomer {
  index: number;
  email: string;
  /** A card as `pm_card_…`, or `debit`, `failing_debit`, or null: pays by invoice. */
  pays: string | null;
  policy: string | null;
  subscriptions: PlannedSubscription[];
  actions: PlannedAction[];
  webhookFaults: WebhookFaults;
  /** Draws what goes wrong with each event. */
  seed: number;
}

const AMOUNTS: Record<string, readonly number[]> = {
  usd: [400, 900, 2000, 12_000],
  eur: [400, 1500, 4900],
  jpy: [300, 1800, 9000],
  kwd: [500, 7250],
};

/** What is going to happen to a customer. The same seed and index plan the same, whatever other customers there are. */
export function planCustomer(seed: number, index: number, faults: ReadonlySet<FaultKind>): PlannedCustomer {
  const own = (seed * 100_003 + index * 7919) % 2 ** 32;
  const random = new Random(own);
  const pays = drawPayment(random);
  const currency = pays?.endsWith("debit") ? "eur" : random.pick(["usd", "usd", "eur", "jpy", "kwd"]);
  const subscriptions = Array.from({ length: random.pick([1, 1, 1, 1, 2, 3]) }, () =>
    drawSubscription(random, random.chance(0.8) ? currency : "usd", pays),
  );
  return {
    index,
    email: drawAddress(random, index),
    pays,
    policy: random.chance(0.5) ? null : random.pick(POLICIES).name,
    subscriptions,
    actions: drawActions(random),
    webhookFaults: drawWebhookFaults(random, faults),
    seed: random.int(0, 2 ** 31),
  };
}

function drawPayment(random: Random): string | null {
  return random.pick([
    ...Array.from({ length: 8 }, () => "pm_card_visa"),
    "pm_card_chargeCustomerFail",
    "pm_card_chargeCustomerFail",
    "pm_card_authenticationRequired",
    "pm_card_authenticationRequiredOnSetup",
    "debit",
    "failing_debit",
    null,
    null,
  ]);
}

function drawSubscription(random: Random, currency: string, pays: string | null): PlannedSubscription {
  return {
    firstDueAt: Math.round(random.next() * 12 * DAY) + HOUR,
    interval: random.chance(0.35) ? "week" : "month",
    amount: random.pick(AMOUNTS[currency] ?? [1000]),
    currency,
    daysUntilDue: pays === null ? random.int(0, 6) : null,
    term: random.chance(0.15) ? Math.round((15 + random.next() * 300) * DAY) : null,
    ownCard:
      pays?.startsWith("pm_card_") && random.chance(0.25)
        ? random.pick(["pm_card_visa", "pm_card_visa", "pm_card_chargeCustomerFail"])
        : null,
    isClassic: random.chance(0.3),
  };
}

function drawAddress(random: Random, index: number): string {
  const box = random.chance(0.88)
    ? "person"
    : random.pick(["bounced", "bounced+transient", "complained", "delayed", "suppressed"]);
  return box.includes("+") ? `${box}@p${index}.example.com` : `${box}+${index}@example.com`;
}

function drawActions(random: Random): PlannedAction[] {
  const actions = Array.from({ length: random.int(3, 10) }, () => ({
    at: Math.round(random.next() * ACTIVE_DAYS * DAY),
    kind: random.pick(CHOICES),
    choice: random.next(),
  }));
  // Most customers owe something early on.
  if (random.chance(0.7))
    actions.push({ at: Math.round(random.next() * 6 * DAY), kind: "break_card", choice: random.next() });
  return actions.sort((one, other) => one.at - other.at);
}

function drawWebhookFaults(random: Random, faults: ReadonlySet<FaultKind>): WebhookFaults {
  const from = random.next() * ACTIVE_DAYS * DAY;
  const days = random.pick([0.2, 1, 3, 8]);
  const isLate = random.chance(0.5);
  const loses = random.chance(0.2) ? random.pick([0.05, 0.3]) : 0;
  const shuffles = random.chance(0.5);
  const wrongFrom = random.next() * ACTIVE_DAYS * DAY;
  const isWrong = random.chance(0.2);
  const wrongDays = random.pick([0.5, 2, 6]);
  return {
    quarantined:
      faults.has("quarantined") && isWrong ? { from: wrongFrom, until: wrongFrom + wrongDays * DAY } : null,
    late: faults.has("late") && isLate ? { from, until: from + days * DAY } : null,
    loses: faults.has("lost") ? loses : 0,
    repeats: faults.has("repeated") ? 0.1 : 0,
    shuffles: faults.has("shuffled") && shuffles,
  };
}
