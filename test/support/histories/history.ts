import { Random } from "../simulation/random.ts";
import { Account } from "./account.ts";
import { addPlan, editPlan, removePlan } from "./catalogue-actions.ts";
import {
  addCustomer,
  buyCredits,
  checkOutOnce,
  completeCheckout,
  editCustomer,
  hintOwner,
  removeCustomer,
} from "./customer-actions.ts";
import { listEntitlements } from "./entitlement-actions.ts";
import { announceRenewal, changeInvoice, draftInvoice } from "./invoice-actions.ts";
import { chargeAlone, payOnce } from "./payment-actions.ts";
import { attachMethod, editMethod, giveCard } from "./payment-method-actions.ts";
import { cancel, changeSubscription, subscribe } from "./subscription-actions.ts";

/** Statuses of a subscription that is over. */
const ENDED = ["canceled", "incomplete_expired"];

/** Tag in the ids of a history. Each delivery puts its own in its place. */
export const NO_TAG = "feedface";

/**
 * Makes one account's history from a seed: some dozens of events about a few objects, many of them in one second.
 * The same seed makes the same history.
 */
export function makeHistory(seed: number): Account {
  const random = new Random(seed);
  const account = new Account(NO_TAG, random);
  const prices: string[] = [];
  const customers: string[] = [];
  const subscriptions: string[] = [];
  const invoices: string[] = [];
  const methods: string[] = [];
  const waiting = Array.from({ length: random.int(0, 2) }, () => account.newUser(true));

  const signUp = () => {
    const userId = waiting.pop();
    if (userId) account.steps.push({ kind: "signUp", userId });
  };
  const present = () => customers.filter((id) => !account.deletedAt.has(id));
  const plan = () => prices.push(addPlan(account));
  const join = () => customers.push(addCustomer(account));
  const start = () => {
    const customer = random.pick(present());
    const id = subscribe(account, customer, prices);
    subscriptions.push(id);
    invoices.push(...invoicesOf(account).filter((invoice) => !invoices.includes(invoice)));
    if (random.chance(0.6)) completeCheckout(account, customer, id);
  };
  const give = () => {
    const customer = random.pick(present());
    const theirs = subscriptions.filter(
      (id) => account.get(id).customer === customer && !ENDED.includes(String(account.get(id).status)),
    );
    giveCard(account, customer, theirs.length > 0 ? random.pick(theirs) : undefined);
  };
  const leave = () => {
    const customer = random.pick(present());
    for (const id of subscriptions)
      if (account.get(id).customer === customer && !ENDED.includes(String(account.get(id).status)))
        cancel(account, id);
    removeCustomer(account, customer);
  };

  plan();
  join();
  for (let left = random.int(8, 24); left > 0; left--) {
    account.pass();
    if (random.chance(0.03)) account.upgrade();
    const actions: [weight: number, action: () => unknown, isPossible: boolean][] = [
      [2, signUp, waiting.length > 0],
      [1, plan, prices.length < 3],
      [1, () => editPlan(account, random.pick(prices)), true],
      [0.4, () => removePlan(account, random.pick(prices)), prices.length > 1],
      [1, join, customers.length < 2],
      [3, () => editCustomer(account, random.pick(present())), present().length > 0],
      [1, () => hintOwner(account, random.pick(present())), present().length > 0],
      [0.5, () => completeCheckout(account, random.pick(present()), null), present().length > 0],
      [1, () => listEntitlements(account, random.pick(present())), present().length > 0],
      [3, start, present().length > 0 && subscriptions.length < 2],
      [
        5,
        () => push(invoices, changeSubscription(account, random.pick(subscriptions), prices)),
        subscriptions.length > 0,
      ],
      [0.5, () => announceRenewal(account, random.pick(subscriptions)), subscriptions.length > 0],
      [1, () => invoices.push(draftInvoice(account, random.pick(present()))), present().length > 0],
      [8, () => changeInvoice(account, random.pick(invoices)), invoices.length > 0],
      [1, () => payOnce(account, present()[0] ?? null), true],
      [0.5, () => payOnce(account, null), true],
      [0.5, () => chargeAlone(account, present()[0] ?? null), true],
      [0.5, () => checkOutOnce(account, present()[0] ?? null), true],
      [0.2, () => checkOutOnce(account, null), true],
      [1, () => buyCredits(account, present()[0] ?? null), true],
      [0.4, () => buyCredits(account, null), true],
      [1.5, () => methods.push(attachMethod(account, random.pick(present()))), present().length > 0],
      [1.5, give, present().length > 0],
      [2, () => editMethod(account, random.pick(methods)), methods.length > 0],
      [0.4, leave, present().length > 0],
    ];
    pickWeighted(
      random,
      actions.filter(([, , isPossible]) => isPossible),
    )();
  }
  while (waiting.length > 0) signUp();
  return account;
}

function invoicesOf(account: Account): string[] {
  return [...account.objects.values()].filter(({ object }) => object === "invoice").map(({ id }) => id ?? "");
}

function push(invoices: string[], made: string | null): void {
  if (made) invoices.push(made);
}

function pickWeighted(random: Random, actions: [number, () => unknown, boolean][]): () => unknown {
  let point = random.next() * actions.reduce((sum, [weight]) => sum + weight, 0);
  for (const [weight, action] of actions) {
    point -= weight;
    if (point < 0) return action;
  }
  throw new Error("no action is possible");
}
