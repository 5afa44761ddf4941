import { ResendApi } from "../../../scripts/duebase/connections/resend.ts";
import { listRestored, type RestoredEffect } from "../../../scripts/duebase/restored/list.ts";
import {
  type CallMatch,
  type EmailMatch,
  matchCalls,
  matchEmails,
} from "../../../scripts/duebase/restored/match.ts";
import { beginRestore, goLiveAgain, type Released } from "../../../scripts/duebase/restored/steps.ts";
import { dueHistory, runHistory } from "../../../supabase/functions/_duebase/history/runner.ts";
import { connectStripe } from "../../../supabase/functions/_duebase/stripe.ts";
import { impatientClock } from "../../support/account/moving-in.ts";
import type { TestDatabase } from "../../support/database.ts";
import { callAsService } from "../../support/delivering.ts";
import type { DunningWorld } from "../../support/dunning-world.ts";

/** What `duebase restored` saw and did. */
export interface Restored {
  emails: EmailMatch;
  calls: CallMatch;
  list: RestoredEffect[];
  /** The tag of the mail of each of them, by id. */
  tags: Map<string, string>;
  released: Released;
}

/** Puts a backup in the place of a world's database, and does what `duebase restored` does, by the world's clock. */
export async function restoreBackup(
  world: DunningWorld,
  backup: TestDatabase,
  backupAt: Date,
): Promise<Restored> {
  await world.continueOn(backup);
  const { sql } = backup;
  const { now } = world;
  const restore = await beginRestore(sql, backupAt, now);
  // Nothing leaves by itself from now on.
  await world.deliver();
  const resend = new ResendApi({ apiKey: "re_example", apiUrl: world.inbox.apiUrl });
  const since = new Date(restore.emails_since);
  const emails = await matchEmails(sql, resend, { since, now, pause: async () => {} });
  const { secretKey = "", url } = world.parts.stripe ?? { url: "" };
  const callStripe = connectStripe({ secretKey, baseUrl: url });
  await reconcile(backup, { callStripe, secretKey, now: now.toISOString() });
  const calls = await matchCalls(sql, callStripe, { now });
  const list = await listRestored(sql);
  const ids = list.map(({ id }) => id);
  const tagged = await sql<{ id: string; tag: string }[]>`
    select id, billing_private.email_tag(dedupe_key) as tag from billing.outbox where id = any (${ids})`;
  const open = list.filter(({ outcome }) => outcome === "open").map(({ id }) => id);
  const released = await goLiveAgain(sql, "local", open, now);
  await world.deliver();
  return { emails, calls, list, tags: new Map(tagged.map(({ id, tag }) => [id, tag])), released };
}

async function reconcile(
  database: TestDatabase,
  parts: { callStripe: ReturnType<typeof connectStripe>; secretKey: string; now: string },
): Promise<void> {
  const callBilling = callAsService(database);
  const { events_from: eventsFrom } = await dueHistory(callBilling, parts.now);
  for (const order of [{ kind: "events", eventsFrom }, { kind: "comparison" }] as const) {
    const result = await runHistory(
      { ...parts, callBilling, holder: "test", clock: impatientClock() },
      order,
    );
    if (result.outcome !== "finished" || result.run.status !== "complete")
      throw new Error(JSON.stringify(result));
  }
}
