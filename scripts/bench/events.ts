import { readdirSync, readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import type Stripe from "stripe";

const FIXTURES = fileURLToPath(new URL("../../test/fixtures/events/", import.meta.url));
const ID = /\b(evt|cus|sub|si|in|inpay|pi|ch|py|cs|pm|il|ii|txn|seti|req)_(?:test_)?[A-Za-z0-9_]+/g;
// What the benches deliver: the events of a subscription's month that carry state.
const TYPES = [
  "customer.updated",
  "customer.subscription.updated",
  "invoice.finalized",
  "invoice.paid",
  "invoice_payment.paid",
  "payment_intent.succeeded",
  "charge.succeeded",
];

/**
 * Endless fresh events in the shapes of the project's fixtures: the month of one subscriber after another, each
 * with ids of its own, or of one subscriber only.
 *
 * @param run keeps the ids of this run apart from those of others in the same database
 * @param customers "distinct": every month has a customer of its own; "one": all have the same
 */
export function* billingEvents(
  run: string,
  customers: "distinct" | "one" = "distinct",
): Generator<Stripe.Event> {
  const templates = TYPES.map((type) => readFileSync(`${FIXTURES}${fixtureOf(type)}`, "utf8"));
  for (let month = 0; ; month++) {
    for (const [index, template] of templates.entries()) {
      const text = template.replace(ID, (id, kind: string) =>
        kind === "cus" && customers === "one" ? `${id}_${run}` : `${id}_${run}_${month}`,
      );
      const event = JSON.parse(text) as Stripe.Event;
      event.created += month * templates.length + index;
      yield event;
    }
  }
}

function fixtureOf(type: string): string {
  const file = readdirSync(FIXTURES).find((name) => name === `${type}.json`);
  if (file === undefined) throw new Error(`no fixture ${FIXTURES}${type}.json to make bench events of`);
  return file;
}
