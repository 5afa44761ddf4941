import { canonicalAddress } from "./addresses.ts";

/** What can be reported of an email. */
export type EmailEventType =
  | "email.sent"
  | "email.delivered"
  | "email.delivery_delayed"
  | "email.bounced"
  | "email.complained"
  | "email.failed"
  | "email.opened"
  | "email.suppressed";

/** Why a mail came back; see https://resend.com/docs/dashboard/emails/email-bounces. */
export interface Bounce {
  type: string;
  subType: string;
  message: string;
}

/** What will become of an email. */
export interface Outcome {
  /** In the order they happen. */
  events: EmailEventType[];
  bounce?: Bounce;
}

/** The bounces that recipients can be asked for. Only a permanent one says that the address is no good. */
export const bounces = {
  permanent: {
    type: "Permanent",
    subType: "General",
    message: "The recipient's mail server refused the email for good: there is no such mailbox.",
  },
  transient: {
    type: "Transient",
    subType: "MailboxFull",
    message: "The recipient's mail server refused the email for now: the mailbox is full.",
  },
  undetermined: {
    type: "Undetermined",
    subType: "Undetermined",
    message: "The recipient's mail server refused the email and gave no reason that is understood.",
  },
} satisfies Record<string, Bounce>;

const delivered: Outcome = { events: ["email.sent", "email.delivered"] };

/** Worst first: an email to several recipients has the outcome of the worst of them. */
const simulations: [string, (label: string) => Outcome][] = [
  ["suppressed", () => ({ events: ["email.suppressed"] })],
  ["failed", () => ({ events: ["email.failed"] })],
  ["bounced", (label) => ({ events: ["email.sent", "email.bounced"], bounce: bounceOf(label) })],
  ["complained", () => ({ events: ["email.sent", "email.delivered", "email.complained"] })],
  ["delayed", () => ({ events: ["email.sent", "email.delivery_delayed", "email.delivered"] })],
];

function bounceOf(label: string): Bounce {
  return label === "transient" || label === "undetermined" ? bounces[label] : bounces.permanent;
}

/** The part of an address before the @, split at the first +. */
function localPart(address: string): [name: string, label: string] {
  const local = canonicalAddress(address).split("@")[0] ?? "";
  const plus = local.indexOf("+");
  return plus === -1 ? [local, ""] : [local.slice(0, plus), local.slice(plus + 1)];
}

/**
 * What becomes of an email to these recipients. As with Resend's `bounced@resend.dev` and its siblings, with a
 * label behind a + or without, the name before the @ decides; here it does so at any domain.
 */
export function outcomeOf(recipients: string[]): Outcome {
  const names = recipients.map(localPart);
  for (const [name, outcome] of simulations) {
    const found = names.find(([local]) => local === name);
    if (found) return outcome(found[1]);
  }
  return delivered;
}

/** Resend's own test addresses are never put on the suppression list, so that they can be used again. */
export function isTestAddress(address: string): boolean {
  return canonicalAddress(address).endsWith("@resend.dev");
}
