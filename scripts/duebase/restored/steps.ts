import type { Sql } from "postgres";
import { countOutcomes } from "../connections/outcomes.ts";

/** A restore as `billing.restored` answers. */
export interface Restore {
  mode: "mirror" | "live";
  project_ref: string | null;
  /** Writes that are withheld and not known to be performed. */
  restored: number;
  /** ISO 8601: what happened later is not in the backup. */
  backup_at: string;
  /** ISO 8601: from when on emails are matched. */
  emails_since: string;
}

/** What came of releasing: how many, by outcome (`billing.release_withheld`). */
export type Released = Record<string, number>;

/** When the backup was made, of the restore that is under way; undefined: none is. */
export async function backupUnderWay(sql: Sql): Promise<Date | undefined> {
  const [row] = await sql<{ backup_at: Date }[]>`
    select backup_at from billing.restores where finished_at is null`;
  return row?.backup_at;
}

/** Stops everything, withholds what waits, and leaves out the ids that may have been used. */
export async function beginRestore(sql: Sql, backupAt: Date | undefined, now?: Date): Promise<Restore> {
  const [row] = await sql<{ restore: Restore }[]>`
    select billing.restored(${backupAt ?? null}, coalesce(${now ?? null}, now())) as restore`;
  if (row === undefined) throw new Error("billing.restored returned nothing");
  return row.restore;
}

/** Emails that left since the backup, and that it knows nothing of. */
export async function toldSince(sql: Sql): Promise<number> {
  const [row] = await sql<{ emails: number }[]>`
    select count(distinct t.resend_id)::integer as emails from billing_private.told_facts as t`;
  return row?.emails ?? 0;
}

/**
 * Goes live again, once all was matched, and has performed what did not leave.
 *
 * @param ids of effects to release; none: all stay withheld
 */
export async function goLiveAgain(
  sql: Sql,
  projectRef: string,
  ids: readonly string[],
  now?: Date,
): Promise<Released> {
  await sql.begin(async (transaction) => {
    await transaction`select billing.restore_is_matched(coalesce(${now ?? null}, now()))`;
    await transaction`select billing.go_live(${projectRef}, coalesce(${now ?? null}, now()))`;
  });
  return await countOutcomes(
    ids,
    (piece) => sql<{ outcome: string }[]>`
      select outcome from billing.release_withheld(${[...piece]}::bigint[], coalesce(${now ?? null}, now()))`,
  );
}
