import type { Check } from "./check.ts";
import type { DemoWorld } from "./world.ts";

/** A mail as `billing.emails` keeps it. */
export interface DemoMail {
  /** When it was written, by the clock of the story: the time of the newest event by then. */
  at: Date;
  template: string;
  to: string;
  subject: string;
  html: string;
  text: string;
  status: string;
  resend_id: string | null;
}

const PATIENCE_MS = 90_000;
const BETWEEN_LOOKS_MS = 50;
/** The minute's tick, for what has to be tried again, without waiting for the minute to pass. */
const BETWEEN_TICKS_MS = 1_000;

/** Waits until nothing is waiting in the outbox and Resend has reported what became of each mail. */
export async function mailsDelivered({ sql, stack }: DemoWorld): Promise<void> {
  const deadline = Date.now() + PATIENCE_MS;
  let nextTick = Date.now() + BETWEEN_TICKS_MS;
  for (;;) {
    const [left] = await sql<{ rows: number }[]>`
      select
        (select count(*)::int from billing.outbox where status in ('pending', 'claimed'))
        + (select count(*)::int from billing.emails where status in ('pending', 'sent')) as rows`;
    if (left?.rows === 0) break;
    if (Date.now() > deadline) throw new Error(`${left?.rows} effects still wait, or have no report yet`);
    if (Date.now() > nextTick) {
      await sql`select billing_private.wake_deliver(now())`;
      nextTick = Date.now() + BETWEEN_TICKS_MS;
    }
    await new Promise((resolve) => setTimeout(resolve, BETWEEN_LOOKS_MS));
  }
  await stack.inbox.settled();
}

/** Every mail there is, in the order they were written; of one customer where one is named. */
export async function mails({ sql }: DemoWorld, customer?: string): Promise<DemoMail[]> {
  return sql<DemoMail[]>`
    select
      (
        select max(w.created) from billing.webhook_events as w
        where w.customer_id = e.customer_id and w.received_at <= e.created_at
      ) as at,
      e.template, e.to_address as to, e.subject, e.html, e.text, e.status, e.resend_id
    from billing.emails as e
    where ${customer ?? null}::text is null or e.customer_id = ${customer ?? null}
    order by e.id`;
}

/**
 * Holds what left, as the inbox kept it, against `billing.emails`.
 *
 * @param expected the mails the story must have caused, as `template to`
 */
export async function checkMails(world: DemoWorld, expected: readonly string[]): Promise<Check[]> {
  const kept = await mails(world);
  const [outbox] = await world.sql<{ dead: number; waiting: number }[]>`
    select
      count(*) filter (where status = 'dead')::int as dead,
      count(*) filter (where status in ('pending', 'claimed'))::int as waiting
    from billing.outbox`;
  const received = world.stack.inbox.emails();
  const line = (id: string | null, to: string, subject: string) => `${id} ${to} ${subject}`;
  const bytes = new Map(received.map(({ id, html, text }) => [id, `${html}\n${text}`]));
  return [
    {
      promise: "everybody got the mails of the story, and no other",
      expected: [...expected].sort().join(),
      found: kept
        .map(({ template, to }) => `${template} ${to}`)
        .sort()
        .join(),
    },
    {
      promise: "what left is what billing.emails says, each once",
      expected: world.stack.inbox.ledger.mails
        .map(({ id, to, subject }) => line(id, to.join(), subject))
        .sort()
        .join(),
      found: kept
        .map(({ resend_id, to, subject }) => line(resend_id, to, subject))
        .sort()
        .join(),
    },
    {
      promise: "… to the letter",
      expected: String(kept.length),
      found: String(
        kept.filter(({ resend_id, html, text }) => bytes.get(resend_id ?? "") === `${html}\n${text}`).length,
      ),
    },
    {
      promise: "… and arrived, as Resend's webhooks told",
      expected: String(kept.length),
      found: String(kept.filter(({ status }) => status === "delivered").length),
    },
    {
      promise: "nothing is waiting in the outbox, and nothing died",
      expected: "0 waiting, 0 dead",
      found: `${outbox?.waiting} waiting, ${outbox?.dead} dead`,
    },
  ];
}
