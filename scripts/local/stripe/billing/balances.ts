import { change } from "../core/events.ts";
import { newId } from "../core/ids.ts";
import type { Customer, CustomerBalanceTransaction } from "../core/wire.ts";
import { timeOf, type World } from "../core/world.ts";

export interface BalanceMove {
  type: CustomerBalanceTransaction["type"];
  invoice?: string;
  creditNote?: string;
  currency?: string;
  description?: string | null;
  metadata?: Record<string, string>;
}

/**
 * Change what a customer owes or is owed.
 * @param amount signed, in the currency's smallest unit; below zero it is credit
 */
export function moveBalance(
  world: World,
  customer: Customer,
  amount: number,
  move: BalanceMove,
): CustomerBalanceTransaction {
  change(world, "customer.updated", customer, (it) => {
    it.balance += amount;
  });
  return world.store.insert<"customer_balance_transaction">({
    id: newId("cbtxn"),
    object: "customer_balance_transaction",
    amount,
    checkout_session: null,
    created: timeOf(world, customer),
    credit_note: move.creditNote ?? null,
    currency: move.currency ?? customer.currency ?? "usd",
    customer: customer.id,
    customer_account: null,
    description: move.description ?? null,
    ending_balance: customer.balance,
    invoice: move.invoice ?? null,
    livemode: false,
    metadata: move.metadata ?? {},
    type: move.type,
  });
}
