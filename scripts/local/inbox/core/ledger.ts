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

/** Something that was asked of this Resend. */
export interface LedgerRequest {
  seq: number;
  id: string;
  /** Milliseconds, real time. */
  at: number;
  method: string;
  /** As the SDK names it, such as `/emails/batch`. */
  path: string;
  idempotencyKey: string | null;
  /** Null until there is an answer, and for ever where the connection was cut or the caller gave up. */
  status: number | null;
  /** The error's name. */
  error: string | null;
  /** Answered from what is kept under the key: nothing was sent again. */
  replayed: boolean;
  /** Fields of the payload that nobody reads. */
  ignored: string[];
}

export interface MailFilter {
  id?: string;
  /** One of the recipients, as written in the request. */
  to?: string;
  subject?: string | RegExp;
  idempotencyKey?: string | null;
  /** Tags that the mail must have, among others. */
  tags?: Record<string, string>;
}

export interface RequestFilter
  extends Partial<Pick<LedgerRequest, "method" | "status" | "replayed" | "error">> {
  path?: string | RegExp;
  idempotencyKey?: string | null;
}

function fits(pattern: string | RegExp | undefined, text: string): boolean {
  if (pattern === undefined) return true;
  return typeof pattern === "string" ? pattern === text : pattern.test(text);
}

/** Everything asked of this Resend and every mail it sent, in order, for tests to count. */
export class Ledger {
  readonly mails: SentMail[] = [];
  readonly requests: LedgerRequest[] = [];

  recordMail(mail: Omit<SentMail, "seq">): void {
    this.mails.push({ seq: this.mails.length + 1, ...mail });
  }

  recordRequest(request: Omit<LedgerRequest, "seq">): LedgerRequest {
    const recorded = { seq: this.requests.length + 1, ...request };
    this.requests.push(recorded);
    return recorded;
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

  /** Requests that match every field given. */
  requestsWhere({ path, ...filter }: RequestFilter = {}): LedgerRequest[] {
    const wanted = Object.entries(filter) as [keyof Omit<RequestFilter, "path">, unknown][];
    return this.requests.filter(
      (request) => fits(path, request.path) && wanted.every(([field, value]) => request[field] === value),
    );
  }

  clear(): void {
    this.mails.length = 0;
    this.requests.length = 0;
  }
}
