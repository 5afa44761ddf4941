import { emit } from "../core/events.ts";
import { newId } from "../core/ids.ts";
import type { CreditGrant, Customer, InvoiceLine } from "../core/wire.ts";
import { timeOf, type World } from "../core/world.ts";
import { missingParam } from "../http/errors.ts";
import { mergedMetadata, type Params } from "../http/params.ts";

/** `POST /v1/billing/credit_grants`: credit that is spent on the prices it is for, before tax. */
export function grantCredit(world: World, customer: Customer, params: Params): CreditGrant {
  const monetary = params.child("amount")?.child("monetary");
  const value = monetary?.integer("value");
  if (!monetary || value == null) throw missingParam("amount[monetary]");
  const scope = params.child("applicability_config")?.child("scope");
  const prices = (scope?.children("prices") ?? []).map((it) => ({ id: it.required("id") }));
  const now = timeOf(world, customer);
  const metered = scope?.choice("price_type", ["metered"]);
  const grant = world.store.insert<"billing.credit_grant">({
    id: newId("credgr"),
    object: "billing.credit_grant",
    amount: {
      monetary: { currency: monetary.required("currency").toLowerCase(), value },
      type: "monetary",
    },
    applicability_config: {
      scope: { ...(metered ? { price_type: metered } : {}), ...(prices.length > 0 ? { prices } : {}) },
    },
    category: params.choice("category", ["paid", "promotional"]) ?? "paid",
    created: now,
    customer: customer.id,
    customer_account: null,
    effective_at: params.integer("effective_at") ?? now,
    expires_at: params.integer("expires_at") ?? null,
    livemode: false,
    metadata: mergedMetadata({}, params.hash("metadata")),
    name: params.text("name") ?? null,
    priority: params.integer("priority") ?? 50,
    test_clock: customer.test_clock ?? null,
    updated: now,
    voided_at: null,
  });
  world.store.hidden.creditLeft.set(grant.id, value);
  emit(world, "billing.credit_grant.created", grant);
  return grant;
}

function isFor(world: World, grant: CreditGrant, line: InvoiceLine): boolean {
  const id = line.pricing?.price_details?.price;
  if (!id) return false;
  const { prices, price_type: type } = grant.applicability_config.scope;
  if (prices?.some((it) => it.id === id)) return true;
  return type === "metered" && world.store.get("price", id)?.recurring?.usage_type === "metered";
}

/** A piece of credit that a line of an invoice uses. */
export interface UsedCredit {
  grant: string;
  amount: number;
  transaction: string;
}

/** Put credit on the lines it is for, after discounts; it is spent when the invoice is made final. */
export function applyCredits(
  world: World,
  customer: Customer,
  currency: string,
  lines: InvoiceLine[],
): UsedCredit[] {
  const now = timeOf(world, customer);
  const used: UsedCredit[] = [];
  const grants = world.store.where(
    "billing.credit_grant",
    (it) =>
      it.customer === customer.id &&
      it.amount.monetary?.currency === currency &&
      (it.effective_at ?? 0) <= now &&
      (it.expires_at === null || it.expires_at > now) &&
      it.voided_at === null,
  );
  for (const grant of grants) {
    let left = world.store.hidden.creditLeft.get(grant.id) ?? 0;
    for (const line of lines) {
      if (!isFor(world, grant, line)) continue;
      const off = (line.pretax_credit_amounts ?? []).reduce((sum, { amount }) => sum + amount, 0);
      const amount = Math.min(left, Math.max(0, line.amount - off));
      if (amount <= 0) continue;
      left -= amount;
      const transaction = newId("cbtxn");
      line.pretax_credit_amounts?.push({
        amount,
        credit_balance_transaction: transaction,
        type: "credit_balance_transaction",
      });
      used.push({ grant: grant.id, amount, transaction });
    }
  }
  return used;
}
