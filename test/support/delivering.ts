import postgres from "postgres";
import type { PostAlert } from "../../supabase/functions/_duebase/alert-webhook.ts";
import { passThrough, type ReachPoint } from "../../supabase/functions/_duebase/crash-points.ts";
import type { CallBilling } from "../../supabase/functions/_duebase/database.ts";
import { DatabaseRefusal } from "../../supabase/functions/_duebase/errors.ts";
import type { LogFields } from "../../supabase/functions/_duebase/log.ts";
import { connectOutbox } from "../../supabase/functions/_duebase/outbox.ts";
import { connectResend } from "../../supabase/functions/_duebase/resend.ts";
import { connectStripe, modeOfKey } from "../../supabase/functions/_duebase/stripe.ts";
import { drain } from "../../supabase/functions/duebase-deliver/drain.ts";
import type { AlertMail } from "../../supabase/functions/duebase-deliver/effects/alert.ts";
import {
  type Budget,
  DEFAULT_BUDGET,
  type Ending,
  Run,
} from "../../supabase/functions/duebase-deliver/run.ts";
import { runDaily } from "../../supabase/functions/duebase-dunning/daily-run.ts";
import type { TestDatabase } from "./database.ts";

/** What a test's deliver works with. What is left out does not exist for it, but for an address for alerts. */
export interface DeliverParts {
  database: TestDatabase;
  /** Which project the function says it runs in. Left out, it speaks to the database as SQL does, without a request. */
  project?: string;
  /** Address and key of a stand-in for Resend. */
  resend?: { url: string; apiKey?: string; timeoutMs?: number };
  stripe?: { url: string; secretKey?: string; timeoutMs?: number };
  /** Left out, alerts are taken unless they go by mail; null: there is no address. */
  postAlert?: PostAlert | null;
  alertMail?: AlertMail;
  /** Null: settings name no sender and neither does the environment. */
  sender?: string | null;
  budget?: Partial<Budget>;
  reach?: ReachPoint;
}

/** What one run did. */
export interface Delivered {
  counts: Record<Ending, number>;
  lines: LogFields[];
}

/** An address at which nothing listens. */
const NOWHERE = "http://127.0.0.1:9";

/**
 * One run of deliver in this process: its own code, against the test's database as service_role and stand-ins for
 * Resend and Stripe. `now` is the clock the database's functions go by.
 */
export async function deliver(parts: DeliverParts, now?: Date): Promise<Delivered> {
  const lines: LogFields[] = [];
  const run = createRun(parts, lines, now);
  await drain(run, { alertMail: parts.alertMail, now: () => now?.getTime() ?? Date.now() });
  return { counts: run.counts, lines };
}

/** One daily run of dunning in this process, likewise. Returns its counts. */
export async function chase(parts: DeliverParts, now: Date): Promise<Record<string, number>> {
  const run = createRun(parts, [], now);
  return runDaily({ callBilling: callAsService(parts.database, parts.project), run, now: now.toISOString() });
}

function createRun(parts: DeliverParts, lines: LogFields[], now: Date | undefined): Run {
  return new Run({
    outbox: connectOutbox(callAsService(parts.database, parts.project), {
      worker: "test",
      defaultSender: parts.sender === null ? undefined : (parts.sender ?? "Example <billing@example.com>"),
      now: now?.toISOString(),
    }),
    sendMails: connectResend({
      apiKey: parts.resend?.apiKey ?? "re_example",
      baseUrl: parts.resend?.url ?? NOWHERE,
      timeoutMs: parts.resend?.timeoutMs ?? 5_000,
    }),
    callStripe: connectStripe({
      secretKey: parts.stripe?.secretKey ?? "sk_test_example",
      baseUrl: parts.stripe?.url ?? NOWHERE,
      timeoutMs: parts.stripe?.timeoutMs ?? 5_000,
    }),
    keyMode: modeOfKey(parts.stripe?.secretKey ?? "sk_test_example"),
    postAlert: parts.postAlert === undefined ? takenUnless(parts.alertMail) : (parts.postAlert ?? undefined),
    reach: parts.reach ?? passThrough,
    log: (_level, fields) => lines.push(fields),
    // A machine that runs tests renders slowly. The bound has a test of its own.
    budget: { ...DEFAULT_BUDGET, sendIntervalMs: 0, renderMs: 60_000, ...parts.budget },
  });
}

const takenUnless = (alertMail: AlertMail | undefined): PostAlert =>
  alertMail === undefined ? async () => {} : undefined;

/**
 * Does what the Data API does: calls a function of schema billing by name with JSON, as service_role.
 *
 * @param project what the request's header says; null: the request has none; undefined: there is no request
 */
export function callAsService(database: TestDatabase, project?: string | null): CallBilling {
  const headers =
    project === undefined ? "" : JSON.stringify(project === null ? {} : { "duebase-project": project });
  return async (name, args) => {
    const parameters = Object.entries(JSON.parse(args) as Record<string, unknown>)
      .filter(([, value]) => value !== undefined && value !== null)
      .map(([parameter, value]) => `${parameter} => ${literal(parameter, value)}`);
    const asked = database
      .askAsService(
        `select to_jsonb(f) as answer from billing.${name}(${parameters.join(", ")}) as f`,
        headers,
      )
      .then((rows) => {
        const answers = rows.map(({ answer }) => answer);
        return (SETS.has(name) ? answers : answers[0]) as never;
      });
    return asked.catch((error: unknown) => {
      if (!(error instanceof postgres.PostgresError) || !error.code.startsWith("DU")) throw error;
      throw new DatabaseRefusal(error.code, error.message, error.hint ?? "", { sqlstate: error.code });
    });
  };
}

const SETS = new Set(["claim_outbox", "begin_emails"]);
const ARRAYS = new Set(["p_ids", "p_types", "p_kinds", "p_checked", "p_steps"]);

/** PostgREST reads JSON by the parameter's type: an array of Postgres is one there, jsonb stays JSON. */
function literal(parameter: string, value: unknown): string {
  const text = ARRAYS.has(parameter)
    ? `{${(value as unknown[]).join(",")}}`
    : typeof value === "object" || typeof value === "boolean"
      ? JSON.stringify(value)
      : String(value);
  return `'${text.replaceAll("'", "''")}'`;
}
