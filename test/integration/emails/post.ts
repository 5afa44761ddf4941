import { type Inbox, type InboxOptions, startInbox } from "../../../scripts/local/inbox/server.ts";
import { createTestDatabase, type TestDatabase } from "../../support/database.ts";
import { type Delivered, type DeliverParts, deliver } from "../../support/delivering.ts";

export const noon = new Date("2026-11-01T12:00:00Z");
export const noonPlus = (seconds: number) => new Date(noon.getTime() + seconds * 1000);
export const hours = (n: number) => noonPlus(n * 3600);

/** A mail to enqueue; what is left out is a German customer's, about a paused subscription. */
export interface MailToEnqueue {
  customer?: string;
  template?: string;
  props?: object;
  /** How many: `key`, `key:1`, `key:2` and so on. */
  count?: number;
}

/** What became of one mail. */
export interface MailState {
  status: string;
  attempts: number;
  /** Code of the last error. */
  problem: string | null;
  /** Status in billing.emails; null: never written. */
  email: string | null;
  in_batch: boolean;
}

/** A database, a stand-in for Resend that goes by the test's clock, and what delivers from one to the other. */
export interface Post {
  database: TestDatabase;
  inbox: Inbox;
  /** Nothing enqueued, nothing sent, and Ada is the only customer. */
  reset(): Promise<void>;
  /** Owes mails, due at noon plus their place in seconds. */
  enqueue(key: string, options?: MailToEnqueue): Promise<void>;
  /** Sets the clock of both sides and runs deliver once. */
  deliverAt(time: Date, changes?: Partial<DeliverParts>): Promise<Delivered>;
  /** Of every mail, in order. */
  states(): Promise<MailState[]>;
  close(): Promise<void>;
}

/** Starts them. */
export async function openPost(inboxes: Partial<InboxOptions> = {}): Promise<Post> {
  const database = await createTestDatabase();
  const { sql } = database;
  let clock = noon;
  const inbox = await startInbox({
    port: 0,
    mailbox: false,
    ratePerSecond: Number.POSITIVE_INFINITY,
    now: () => clock,
    ...inboxes,
  });
  return {
    database,
    inbox,
    async reset() {
      clock = noon;
      await sql`truncate billing.outbox`;
      await sql`truncate billing.suppressed_addresses, billing.resend_events, billing.emails`;
      await sql`delete from billing.customers where true`;
      await sql`update billing.settings set emails_off = '{}', attach_invoice_pdf = false, email_from = null, email_reply_to = null where id`;
      await sql`
        insert into billing.customers (id, email, name, preferred_locales, created)
        values ('cus_ada', 'ada@example.com', 'Ada Example', '{de-AT,en}', ${noon})
      `;
      inbox.ledger.clear();
      inbox.faults.clear();
      inbox.keys.forget();
    },
    async enqueue(key, { customer, template, props, count = 1 } = {}) {
      const payload = {
        template: template ?? "subscription-paused",
        customer: customer ?? "cus_ada",
        props: props ?? {
          customerName: null,
          productName: null,
          reason: "requested",
          pausedAt: "2026-11-01T11:00:00Z",
        },
      };
      await sql`
        select billing_private.enqueue(
          'email', ${key} || case when n = 0 then '' else ':' || n end, ${sql.json(payload as never)}, ${noon},
          ${noon} + make_interval(secs => n)
        )
        from generate_series(0, ${count - 1}) as n
      `;
    },
    deliverAt(time, changes = {}) {
      clock = time;
      return deliver({ database, resend: { url: inbox.apiUrl }, ...changes }, time);
    },
    states: () => sql<MailState[]>`
      select
        o.status, o.attempts, o.last_error ->> 'code' as problem, e.status as email, e.batch_id is not null as in_batch
      from billing.outbox as o left join billing.emails as e on e.outbox_id = o.id
      where o.kind = 'email' order by o.id
    `,
    async close() {
      await inbox.close();
      await database.drop();
    },
  };
}
