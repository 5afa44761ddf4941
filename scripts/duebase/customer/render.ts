import Table from "cli-table3";
import pc from "picocolors";
import { amountIn, day, moment, plain } from "../../dunning/format.ts";
import { compact, wrapped } from "../look.ts";
import type { FoundCustomer } from "./find.ts";
import type { CustomerStory, Entry, EntryKind, SubscriptionNow } from "./story.ts";

const COLOURS: Record<EntryKind, (text: string) => string> = {
  event: pc.dim,
  charge: pc.green,
  dunning: pc.yellow,
  mail: pc.cyan,
  access: pc.magenta,
  note: pc.blue,
};

/** Who fits, where several do. */
export function matchesAsText(who: string, found: readonly FoundCustomer[]): string {
  const table = new Table({ head: ["customer", "email", "name", "owner", ""], ...compact });
  for (const { id, email, name, owner_id, deleted_at, forgotten_at } of found) {
    const state = forgotten_at ? "forgotten" : deleted_at ? "deleted" : "";
    table.push([id, plain(email ?? ""), plain(name ?? ""), owner_id ?? "", state]);
  }
  return `${found.length} customers fit ${plain(who)}. Name one by its id.\n${table.toString()}`;
}

/** The story for people: who it is, how things stand, and then what happened, in order. */
export function storyAsText(story: CustomerStory, columns: number): string {
  const { customer, subscriptions, access } = story;
  const width = Math.max(40, columns - INDENT);
  return [
    pc.bold(
      [customer.id, plain(customer.name ?? ""), plain(customer.email ?? "")].filter(Boolean).join("  "),
    ),
    ...standing(story).map((line) => `  ${line}`),
    ...subscriptions.map((subscription) => `  ${subscriptionAsText(subscription)}`),
    `  ${access.length === 0 ? "no feature" : `features: ${access.map(featureAsText).join(", ")}`}`,
    "",
    ...(story.has_more ? [pc.dim("… more happened before; --limit shows more of it")] : []),
    ...(story.story.length === 0 ? ["Nothing has happened yet."] : []),
    ...story.story.flatMap((entry, index) => entryAsText(entry, story.story[index - 1], width)),
  ].join("\n");
}

function standing({ customer, suppressed }: CustomerStory): string[] {
  return [
    ...(customer.forgotten_at
      ? [
          pc.yellow(
            `forgotten on ${day(customer.forgotten_at)}: names and addresses are gone, the amounts stay`,
          ),
        ]
      : []),
    ...(customer.deleted_at ? [pc.yellow(`deleted at Stripe on ${day(customer.deleted_at)}`)] : []),
    customer.owner_id === null ? "belongs to no owner of the application" : `belongs to ${customer.owner_id}`,
    ...(suppressed === null ? [] : [pc.red(`no mail goes to its address: ${suppressed}`)]),
  ];
}

function subscriptionAsText(it: SubscriptionNow): string {
  const money = (amount: number) => amountIn(amount, it.currency ?? "");
  return [
    `${it.id} ${it.status}`,
    ...(it.products === null ? [] : [plain(it.products)]),
    ...(it.ends_at
      ? [`ends ${day(it.ends_at)}`]
      : it.current_period_end
        ? [`until ${day(it.current_period_end)}`]
        : []),
    ...(it.overdue_amount > 0
      ? [pc.red(`${money(it.overdue_amount)} overdue since ${day(it.overdue_since)}`)]
      : it.open_amount > 0
        ? [`${money(it.open_amount)} open`]
        : []),
    ...(it.dunning_since ? [`dunned since ${day(it.dunning_since)}`] : []),
    ...(it.dunning_holds?.length ? [pc.yellow(`held: ${it.dunning_holds.join(", ")}`)] : []),
  ].join(", ");
}

const featureAsText = ({ feature, valid_until }: { feature: string; valid_until: Date | null }) =>
  `${plain(feature)}${valid_until === null ? "" : ` until ${day(valid_until)}`}`;

/** Time, and kind. */
const INDENT = 18 + 9;

function entryAsText(entry: Entry, before: Entry | undefined, width: number): string[] {
  const time = moment(entry.at);
  const isSameDay = before !== undefined && moment(before.at).slice(0, 10) === time.slice(0, 10);
  const shown = isSameDay ? " ".repeat(11) + time.slice(11) : time;
  const amount = entry.amount === null ? "" : ` ${amountIn(entry.amount, entry.currency ?? "")}`;
  const outcome = entry.is_bad ? pc.red(entry.outcome) : entry.outcome;
  const [first = "", ...more] = wrapped(`${plain(entry.what)}${amount} → ${outcome}`, width);
  const why = entry.why ? wrapped(plain(entry.why), width - 2).map((line) => pc.dim(`  ${line}`)) : [];
  const margin = " ".repeat(INDENT);
  return [
    `${shown.padEnd(18)}${COLOURS[entry.kind](entry.kind.padEnd(9))}${first}`,
    ...[...more, ...why].map((line) => margin + line),
  ];
}
