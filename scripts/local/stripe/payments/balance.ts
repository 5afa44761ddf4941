import { newId } from "../core/ids.ts";
import type { BalanceTransaction } from "../core/wire.ts";
import { type Clocked, timeOf, type World } from "../core/world.ts";

/** What Stripe keeps of a card payment: 2.9% and 30 of the smallest unit. */
export function feeOf(amount: number): number {
  return Math.round(amount * 0.029) + 30;
}

export interface Movement {
  /** Signed, in the currency's smallest unit. */
  amount: number;
  fee: number;
  currency: string;
  source: string;
  type: BalanceTransaction["type"];
  subject: Clocked;
}

/** An entry in the account's balance. */
export function createBalanceTransaction(world: World, movement: Movement): BalanceTransaction {
  const { amount, fee, currency, source, type, subject } = movement;
  const now = timeOf(world, subject);
  return world.store.insert<"balance_transaction">({
    id: newId("txn"),
    object: "balance_transaction",
    amount,
    available_on: now + 2 * 86_400,
    balance_type: "payments",
    created: now,
    currency,
    description: null,
    exchange_rate: null,
    fee,
    fee_details:
      fee === 0
        ? []
        : [
            {
              amount: fee,
              application: null,
              currency,
              description: "Stripe processing fees",
              type: "stripe_fee",
            },
          ],
    net: amount - fee,
    reporting_category: type === "adjustment" ? "dispute" : type,
    source,
    status: "pending",
    type,
  });
}
