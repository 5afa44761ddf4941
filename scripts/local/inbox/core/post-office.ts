import { randomUUID } from "node:crypto";
import type { EmailPayload } from "../http/payload.ts";
import type { LoggedEvent } from "../webhooks/events.ts";
import { eventOf } from "../webhooks/events.ts";
import { type StoredEmail, tagsOf } from "./email.ts";
import type { Ledger } from "./ledger.ts";
import { type Bounce, bounces, type EmailEventType, isTestAddress, outcomeOf } from "./outcomes.ts";
import type { Suppressions } from "./suppressions.ts";

/** What the post office tells the others. */
export interface PostOfficeParts {
  now: () => Date;
  ledger: Ledger;
  suppressions: Suppressions;
  /** Shows a mail in the mailbox. */
  show: (email: StoredEmail) => void;
  /** Sends an event to the webhooks. */
  announce: (event: LoggedEvent) => void;
  /** Called with an email that is new, before anybody hears of it. */
  onAccepted: (email: StoredEmail) => void;
  /** Called with an email to which something happened. */
  onEvent: (email: StoredEmail) => void;
}

/** Where a mail came from. */
export interface Posting {
  request: string;
  idempotencyKey: string | null;
  batch: boolean;
}

/** What the last event is of an email that was held back. */
const neverLeft = new Set<string>(["failed", "suppressed"]);

/** Takes emails in, sends them, and says what becomes of them. */
export class PostOffice {
  private readonly emails = new Map<string, StoredEmail>();
  private readonly parts: PostOfficeParts;

  constructor(parts: PostOfficeParts) {
    this.parts = parts;
  }

  /** Accept all of these at once. Nothing here waits, so none is accepted without the others. */
  accept(payloads: EmailPayload[], posting: Posting): StoredEmail[] {
    return payloads.map((payload, index) => this.acceptOne(payload, posting, index));
  }

  private acceptOne(
    payload: EmailPayload,
    { request, idempotencyKey, batch }: Posting,
    index: number,
  ): StoredEmail {
    const { now, ledger, suppressions, show, onAccepted } = this.parts;
    const at = now();
    const id = randomUUID();
    const email: StoredEmail = {
      shown: {
        object: "email",
        id,
        message_id: `<${id}@local.resend.dev>`,
        from: payload.from,
        to: payload.to,
        cc: payload.cc,
        bcc: payload.bcc,
        reply_to: payload.replyTo,
        subject: payload.subject,
        html: payload.html,
        text: payload.text,
        tags: payload.tags,
        created_at: at.toISOString(),
        scheduled_at: null,
        topic_id: null,
        last_event: "queued",
      },
      headers: payload.headers,
      attachments: payload.attachments,
    };
    this.emails.set(id, email);
    onAccepted(email);
    const isSuppressed = payload.to.some((address) => suppressions.has(address));
    const outcome = isSuppressed ? outcomeOf(["suppressed@resend.dev"]) : outcomeOf(payload.to);
    if (outcome.events.includes("email.sent")) {
      const { from, to, subject } = payload;
      const batchIndex = batch ? index : null;
      ledger.recordMail({
        id,
        from,
        to,
        subject,
        tags: tagsOf(email),
        idempotencyKey,
        batchIndex,
        at,
        request,
      });
      show(email);
    }
    for (const type of outcome.events) this.happen(email, type, outcome.bounce);
    return email;
  }

  /**
   * Let something happen to an email, whatever its recipient's address said.
   *
   * @param bounce why, for `email.bounced`; a permanent one where absent
   * @returns the event, as it was given to the webhooks
   * @throws if there is no email of that id
   */
  report(id: string, type: EmailEventType, bounce?: Bounce): LoggedEvent {
    const email = this.emails.get(id);
    if (!email) throw new Error(`no email ${id}`);
    return this.happen(email, type, bounce);
  }

  private happen(email: StoredEmail, type: EmailEventType, bounce: Bounce = bounces.permanent): LoggedEvent {
    const { now, suppressions, announce, onEvent } = this.parts;
    const { id, to } = email.shown;
    email.shown.last_event = type.slice("email.".length) as StoredEmail["shown"]["last_event"];
    const origin =
      type === "email.complained"
        ? "complaint"
        : type === "email.bounced" && bounce.type === bounces.permanent.type
          ? "bounce"
          : undefined;
    if (origin) {
      for (const address of to) if (!isTestAddress(address)) suppressions.add(address, origin, now(), id);
    }
    onEvent(email);
    const event = eventOf(email, type, bounce, now());
    announce(event);
    return event;
  }

  get(id: string): StoredEmail | undefined {
    return this.emails.get(id);
  }

  /** In the order they were accepted. */
  all(): StoredEmail[] {
    return [...this.emails.values()];
  }

  /** Take over the emails of an earlier run. */
  restore(emails: StoredEmail[]): void {
    for (const email of emails) {
      this.emails.set(email.shown.id, email);
      if (!neverLeft.has(email.shown.last_event)) this.parts.show(email);
    }
  }
}
