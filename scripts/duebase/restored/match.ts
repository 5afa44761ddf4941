import type { Sql } from "postgres";
import { StripeCallError } from "../../../supabase/functions/_duebase/errors.ts";
import { toldByTags } from "../../../supabase/functions/_duebase/resend.ts";
import type { CallStripe } from "../../../supabase/functions/_duebase/stripe.ts";
import {
  CALLS,
  type StripeCallPayload,
} from "../../../supabase/functions/duebase-deliver/effects/stripe-call.ts";
import type { ResendApi, SentEmail } from "../connections/resend.ts";
import { Refusal } from "../terminal.ts";

// After a backup was restored: what Resend and Stripe show of what left since the backup.

/** What Resend showed. */
export interface EmailMatch {
  /** Emails that were sent since, of this project or not. */
  listed: number;
  /** Of these, emails of ours that the backup does not know as sent. */
  ours: number;
  /** Of these, emails that the backup has as pending. */
  performed: number;
  /** Whether the list is known to go back as far as it has to. */
  reachesBack: boolean;
}

/** How emails are matched. */
export interface EmailMatching {
  /** From when on. */
  since: Date;
  /** The clock of the database's functions; by default its own. */
  now?: Date;
  /** Waits between two emails that are read: Resend takes a few requests a second. */
  pause?: () => Promise<unknown>;
  onProgress?: (match: Pick<EmailMatch, "listed" | "ours">) => void;
}

const FOUR_A_SECOND = () => new Promise((resolve) => setTimeout(resolve, 250));
/** Resend took these, and did not send them. */
const DID_NOT_LEAVE = new Set(["failed", "canceled"]);

/**
 * Reads the emails that were sent since the backup, newest first, and hands ours to the database. Run again, it reads
 * them again and changes nothing.
 *
 * @throws ResendRefusal, such as where the key may only send; NoAnswer
 */
export async function matchEmails(
  sql: Sql,
  resend: ResendApi,
  { since, now, pause = FOUR_A_SECOND, onProgress }: EmailMatching,
): Promise<EmailMatch> {
  const found = { listed: 0, ours: 0, performed: 0, reachesBack: false };
  const witness = await newestKnownBefore(sql, since);
  for await (const page of resend.sentEmails()) {
    const fresh = page.filter(({ created_at }) => created_at >= since);
    const isPast = fresh.length < page.length;
    found.reachesBack ||= isPast || page.some(({ id }) => id === witness);
    found.listed += fresh.length;
    const ours = [];
    for (const email of await unknownHere(sql, fresh)) {
      const tags = await resend.tagsOf(email.id);
      await pause();
      if (tags.duebase_email === undefined || DID_NOT_LEAVE.has(email.last_event ?? "")) continue;
      found.ours += 1;
      ours.push({
        resend_id: email.id,
        sent_at: email.created_at.toISOString(),
        tag: tags.duebase_email,
        tells: toldByTags(tags),
      });
      onProgress?.(found);
    }
    // Page by page: what was read is kept, however this ends.
    const [row] = await sql<{ performed: number }[]>`
      select coalesce(cardinality(billing.match_restored_emails(${sql.json(ours)}, coalesce(${now ?? null}, now()))), 0) as performed`;
    found.performed += row?.performed ?? 0;
    onProgress?.(found);
    if (isPast) break;
  }
  found.reachesBack ||= witness === undefined;
  return found;
}

/** An email that Resend has to list, if it lists all since then: one that was sent before. */
async function newestKnownBefore(sql: Sql, since: Date): Promise<string | undefined> {
  const [row] = await sql<{ resend_id: string }[]>`
    select resend_id from billing.emails where sent_at < ${since} and resend_id is not null order by sent_at desc limit 1`;
  return row?.resend_id;
}

async function unknownHere(sql: Sql, emails: SentEmail[]): Promise<SentEmail[]> {
  const known = await sql<{ resend_id: string }[]>`
    select resend_id from billing.emails where resend_id = any (${emails.map(({ id }) => id)})`;
  const ids = new Set(known.map(({ resend_id }) => resend_id));
  return emails.filter(({ id }) => !ids.has(id));
}

/** What Stripe showed of writing calls that the backup has as pending. */
export interface CallMatch {
  read: number;
  performed: number;
}

/**
 * Reads at Stripe what pending calls are about: a call of which nothing is left to do counts as performed. Charges,
 * seats and the steps of dunning are decided anew by themselves, each after such a read.
 *
 * @throws Refusal where Stripe does not answer
 */
export async function matchCalls(
  sql: Sql,
  callStripe: CallStripe,
  { account, now, onProgress }: { account?: string; now?: Date; onProgress?: (match: CallMatch) => void },
): Promise<CallMatch> {
  const calls = await sql<{ id: string; payload: StripeCallPayload }[]>`
    select id, payload from billing.restored_effects() where kind = 'stripe'`;
  const performed: string[] = [];
  let read = 0;
  for (const { id, payload } of calls) {
    const call = CALLS[payload.call];
    if (call === undefined) continue;
    const object = await readObject(callStripe, `/v1/${call.resource}/${payload.id}`, account);
    read += 1;
    if (object === undefined || call.isDone(object, payload)) performed.push(id);
    onProgress?.({ read, performed: performed.length });
  }
  await sql`select billing.mark_as_performed(${performed}::bigint[], coalesce(${now ?? null}, now()))`;
  return { read, performed: performed.length };
}

/** Undefined: it is not there any more, and nothing can be done about it. */
async function readObject(
  callStripe: CallStripe,
  path: string,
  account: string | undefined,
): Promise<Record<string, unknown> | undefined> {
  try {
    return (await callStripe({ method: "GET", path, ...(account ? { account } : {}) })).object;
  } catch (error) {
    if (!(error instanceof StripeCallError)) throw error;
    if (error.status === 404) return undefined;
    throw new Refusal(
      `Stripe did not answer GET ${path}: ${error.message}`,
      "What was matched is kept. Run this again, and it goes on.",
      { cause: error },
    );
  }
}
