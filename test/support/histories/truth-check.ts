import { isDeepStrictEqual } from "node:util";
import type { Account } from "./account.ts";
import { entitlementUntruths } from "./entitlement-truth.ts";
import type { State } from "./state.ts";
import { type Row, truthOf } from "./truth.ts";

/** Tables whose rows are all objects of the account, so that an extra row is wrong as well. */
export const MIRRORED = [
  "customers",
  "products",
  "prices",
  "subscriptions",
  "subscription_items",
  "invoices",
  "invoice_payments",
  "payments",
  "refunds",
  "disputes",
  "payment_methods",
  "checkout_sessions",
  "object_metadata",
  "payment_failures",
];

/**
 * What the database shows wrongly, a line each. Nothing where it has asked Stripe about an object's last second: the
 * answer is not there yet.
 */
export function untruths(account: Account, state: State | undefined, asked: Set<string>): string[] {
  const lines: string[] = [];
  const hasAsked = askedAbout(account, asked);
  const truth = truthOf(account);
  for (const table of MIRRORED) {
    const shown = new Map(
      (state?.get(table) ?? []).map((text) => JSON.parse(text) as Row).map((row) => [idOf(row), row]),
    );
    for (const { row, toldBy } of truth.filter((expected) => expected.table === table)) {
      const found = shown.get(idOf(row));
      shown.delete(idOf(row));
      if (!found) {
        if (!hasAsked(toldBy)) lines.push(`${table} ${idOf(row)} is missing`);
        continue;
      }
      // A deletion and its time are always known.
      const known = hasAsked(toldBy) ? ["deleted_at"] : Object.keys(row);
      for (const column of known)
        if (
          row[column] !== undefined &&
          !isUntoldInOldShape(account, column, row, found) &&
          !isDeepStrictEqual(withoutNulls(row[column]), withoutNulls(found[column]))
        )
          lines.push(
            `${table} ${idOf(row)} ${column}: ${JSON.stringify(found[column])} instead of ${JSON.stringify(row[column])}`,
          );
    }
    for (const [id, row] of shown)
      if (!isOfItem(row) && !hasAsked([String(row.subscription ?? id)]))
        lines.push(`${table} ${id} should not be there`);
  }
  return [...lines, ...entitlementUntruths(account, state, hasAsked)];
}

/** Whether Stripe was asked about the last second of one of these objects; for a payment record, about any second. */
export function askedAbout(account: Account, asked: Set<string>): (ids: string[]) => boolean {
  const objects = new Set([...asked].map((second) => second.split(" ")[0]));
  return (ids) =>
    ids.some(
      (id) =>
        asked.has(`${id} ${account.lastTold.get(id)}`) ||
        (account.objects.get(id)?.object === "payment_record" && objects.has(id)),
    );
}

/** Versions before 2026-09-30.endive do not tell why a subscription is paused. */
function isUntoldInOldShape(account: Account, column: string, row: Row, found: Row): boolean {
  return column === "status_details" && found[column] === null && account.toldInOldShape.has(String(row.id));
}

/** Metadata of an item does not name the subscription whose events tell of it. */
function isOfItem({ object_id }: Row): boolean {
  return typeof object_id === "string" && object_id.startsWith("si_");
}

function idOf(row: Row): unknown {
  return row.id ?? row.object_id ?? row.payment_id;
}

/** A document without its null fields: absent and null mean the same, and API versions differ in which they use. */
function withoutNulls(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(withoutNulls);
  if (typeof value !== "object" || value === null) return value ?? null;
  return Object.fromEntries(
    Object.entries(value)
      .filter(([, field]) => field !== null && field !== undefined)
      .map(([key, field]) => [key, withoutNulls(field)]),
  );
}
