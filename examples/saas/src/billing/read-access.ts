import { type BillingStatus, billing, readBillingStatus } from "../../../../client/index.ts";
import { supabase } from "../supabase.ts";
import type { Team } from "../team/use-teams.ts";
import { dataOf } from "../use-loaded.ts";

/** A subscription of the team, with what it is for. */
export interface Subscription {
  id: string;
  status: string;
  product: string;
  /** Stripe's id of it; null where the product is not known. */
  productId: string | null;
  price: { id: string; amount: number; currency: string; interval: string; count: number } | undefined;
  quantity: number;
  periodStart: string | null;
  periodEnd: string | null;
  cancelAt: string | null;
  endedAt: string | null;
  /** Stripe's reason for the end, such as cancellation_requested. */
  endReason: string | undefined;
  /** Since when it is paused; undefined where it is not. */
  pausedAt: string | undefined;
}

export interface PaymentMethod {
  /** Stripe's `type`: card, sepa_debit, paypal, …; empty where it is not known. */
  type: string;
  /** Stripe's `card.brand`; null where it is no card. */
  brand: string | null;
  last4: string | null;
  expires: { month: number; year: number } | undefined;
}

/** Something overdue, and how its invoice is to be paid; for managers. */
export type Overdue = BillingStatus & {
  /** Whether the invoice was sent, to be paid by hand: nothing was tried then. */
  isSent: boolean;
};

/** What the team may use, what it owes, and what it has: all that banner and wall go by. */
export interface Access {
  features: string[];
  overdue: Overdue[];
  /** The newest first. */
  subscriptions: Subscription[];
  /** What the running subscription is charged to; for managers only. */
  paymentMethod: PaymentMethod | undefined;
  /** What a subscription that does not run left unpaid, and where to pay it; for managers only. */
  leftUnpaid: { amount: number; currency: string; url: string } | undefined;
  /** Whether the team has been a customer: it has a page at Stripe then. */
  isCustomer: boolean;
}

const NOT_RUNNING = ["incomplete", "incomplete_expired", "canceled"];

/** Whether a subscription runs: it is to be changed, and not bought once more. */
export const isRunning = ({ status }: Pick<Subscription, "status">): boolean => !NOT_RUNNING.includes(status);

/** The newest of what ever began, or waits for its first payment; a purchase that nobody completed is none. */
export const newestOf = (subscriptions: Subscription[]): Subscription | undefined =>
  subscriptions.find(({ status }) => status !== "incomplete_expired");

/** The features that a team has now. */
export async function readFeatures(teamId: string): Promise<string[]> {
  const rows = await billing(supabase)
    .from("entitlements")
    .select("feature")
    .eq("owner_id", teamId)
    .then(dataOf);
  return rows.map(({ feature }) => feature);
}

export async function readAccess(team: Team): Promise<Access> {
  const db = billing(supabase);
  const [features, overdue, plans, customers] = await Promise.all([
    readFeatures(team.id),
    readBillingStatus(supabase, team.id),
    supabase.rpc("team_plans", { team: team.id }).then(dataOf),
    team.canManage
      ? db.from("customers").select("id, default_payment_method").eq("owner_id", team.id).then(dataOf)
      : [],
  ]);
  const ids = plans.map(({ subscription }) => subscription);
  const payers = customers.map(({ id }) => id);
  const [rows, methods, openInvoices] = await Promise.all([
    db
      .from("subscriptions")
      .select(
        "id, status, current_period_start, current_period_end, cancel_at, ended_at, cancellation_details, status_details, pause_collection, default_payment_method",
      )
      .in("id", ids)
      .order("created", { ascending: false })
      .then(dataOf),
    payers.length > 0
      ? db
          .from("payment_methods")
          .select("id, card_brand, card_last4, card_exp_month, card_exp_year, type")
          .in("customer", payers)
          .then(dataOf)
      : [],
    payers.length > 0
      ? db
          .from("invoices")
          .select("id, subscription, collection_method, amount_remaining, currency, hosted_invoice_url")
          .in("customer", payers)
          .eq("status", "open")
          .then(dataOf)
      : [],
  ]);
  const subscriptions = rows.map((row): Subscription => {
    const plan = plans.find(({ subscription }) => subscription === row.id);
    return {
      id: row.id,
      status: row.status,
      product: plan?.name ?? "",
      productId: plan?.product ?? null,
      // Tiers and fractions of a cent have no amount for one.
      price:
        plan?.price && plan.unit_amount !== null
          ? {
              id: plan.price,
              amount: plan.unit_amount,
              currency: plan.currency,
              interval: plan.interval,
              count: plan.interval_count,
            }
          : undefined,
      quantity: plan?.quantity ?? 1,
      periodStart: row.current_period_start,
      periodEnd: row.current_period_end,
      cancelAt: row.cancel_at,
      endedAt: row.ended_at,
      endReason: textIn(row.cancellation_details, "reason"),
      pausedAt: pausedSince(row),
    };
  });
  const charged =
    rows.find(isRunning)?.default_payment_method ??
    customers.find((it) => it.default_payment_method)?.default_payment_method;
  const method = methods.find(({ id }) => id === charged);
  return {
    features,
    overdue: overdue.map((it) => ({
      ...it,
      isSent: openInvoices.some(
        ({ id, collection_method }) => id === it.invoice && collection_method === "send_invoice",
      ),
    })),
    subscriptions,
    paymentMethod: method && {
      type: method.type ?? "",
      brand: method.card_brand,
      last4: method.card_last4,
      expires:
        method.card_exp_month && method.card_exp_year
          ? { month: method.card_exp_month, year: method.card_exp_year }
          : undefined,
    },
    leftUnpaid: leftBy(newestOf(subscriptions), openInvoices),
    isCustomer: customers.length > 0,
  };
}

interface OpenInvoice {
  subscription: string | null;
  amount_remaining: number | null;
  currency: string | null;
  hosted_invoice_url: string | null;
}

/** What is open of a running subscription is told by my_billing_status. */
function leftBy(newest: Subscription | undefined, invoices: OpenInvoice[]): Access["leftUnpaid"] {
  if (!newest || isRunning(newest)) return undefined;
  const invoice = invoices.find(({ subscription }) => subscription === newest.id);
  if (!invoice?.hosted_invoice_url || !invoice.currency) return undefined;
  return {
    amount: invoice.amount_remaining ?? 0,
    currency: invoice.currency,
    url: invoice.hosted_invoice_url,
  };
}

function pausedSince(row: {
  status: string;
  pause_collection: unknown;
  status_details: unknown;
}): string | undefined {
  if (row.status !== "paused" && row.pause_collection === null) return undefined;
  const { paused } = recordOf(row.status_details);
  const at = recordOf(paused).transitioned_at;
  return typeof at === "number" ? new Date(at * 1000).toISOString() : "";
}

function textIn(value: unknown, name: string): string | undefined {
  const text = recordOf(value)[name];
  return typeof text === "string" ? text : undefined;
}

const recordOf = (value: unknown): Record<string, unknown> =>
  typeof value === "object" && value !== null ? { ...value } : {};
