import Table from "cli-table3";
import pc from "picocolors";
import type { StackStatus } from "./status.ts";

const labels: [keyof StackStatus, string][] = [
  ["API_URL", "API"],
  ["FUNCTIONS_URL", "Edge Functions"],
  ["STUDIO_URL", "Studio"],
  ["INBOX_URL", "Inbox"],
  ["STRIPE_API_URL", "Local Stripe"],
  ["DB_URL", "Database"],
  ["PUBLISHABLE_KEY", "Publishable key"],
  ["SECRET_KEY", "Secret key"],
  ["STRIPE_WEBHOOK_SECRET", "Webhook secret"],
];

/** Prints where everything is. */
export function printStatus(status: StackStatus): void {
  const table = new Table({ style: { head: [], border: ["dim"] } });
  for (const [key, label] of labels) {
    const value = status[key];
    if (value !== undefined) table.push([pc.bold(label), String(value)]);
  }
  console.log(table.toString());
}
