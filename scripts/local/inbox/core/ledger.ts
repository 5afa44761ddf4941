import { fits, RequestLedger } from "../../service/ledger.ts";

/** A mail that left for its recipient. What Resend accepted and then held back (a suppressed address) is not here. */
export interface SentMail {
  seq: number;
  /** Resend's id of the email. */
  id: string;
  from: string;
  to: string[];
  subject: string;
  tags: Record<string, string>;
  /** Null where the request had none. In a batch all mails share one. */
  idempotencyKey: string | null;
  /** Its place in its batch; null where it was sent singly. */
  batchIndex: number | null;
  /** By the inbox's clock. */
  at: Date;
  /** The request that caused it. */
  request: string;
}

/** Which mails are meant; a field that is absent asks for nothing. */
export interface MailFilter {
  id?: string;
  /** One of the recipients, as written in the request. */
  to?: string;
  subject?: string | RegExp;
  idempotencyKey?: string | null;
  /** Tags that the mail must have, among others. */
  tags?: Record<string, string>;
}

/** Everything asked of this Resend and every mail it sent, in order, for tests to count. */
export class Ledger extends RequestLedger {
  readonly mails: SentMail[] = [];

  recordMail(mail: Omit<SentMail, "seq">): void {
    this.mails.push({ seq: this.mails.length + 1, ...mail });
  }

  /** Mails that match every field given. */
  mailsWhere({ id, to, subject, idempotencyKey, tags = {} }: MailFilter = {}): SentMail[] {
    return this.mails.filter(
      (mail) =>
        (id === undefined || mail.id === id) &&
        (to === undefined || mail.to.includes(to)) &&
        fits(subject, mail.subject) &&
        (idempotencyKey === undefined || mail.idempotencyKey === idempotencyKey) &&
        Object.entries(tags).every(([name, value]) => mail.tags[name] === value),
    );
  }

  /** How many mails match. */
  count(filter: MailFilter = {}): number {
    return this.mailsWhere(filter).length;
  }

  override clear(): void {
    super.clear();
    this.mails.length = 0;
  }
}
