import { setTimeout as delay } from "node:timers/promises";
import type { Sql } from "postgres";
import type { SelfReport } from "../../../supabase/functions/_duebase/self-report.ts";
import type { FunctionsAddress, RoundTrip } from "./context.ts";

/** pg_net waits this long for the function, which asks Stripe, Resend and its own webhook meanwhile. */
const FUNCTION_TIMEOUT_MS = 10_000;
/** And this long the answer may be under way: a batch is as slow as its slowest request. */
const ANSWER_TIMEOUT_MS = 16_000;

interface NetAnswer {
  status: number | null;
  error: string | null;
  is_ours: boolean;
  content: string | null;
}

/**
 * Asks `duebase-deliver` the way the tick does: the database calls it through pg_net, signed with the secret from Vault. It is
 * asked for a report and runs nothing. The call is in no ledger of ours.
 */
export async function askThroughDatabase(
  sql: Sql,
  address: FunctionsAddress,
  signal: AbortSignal,
): Promise<RoundTrip> {
  if (address.problem !== null) return { is: "refused", problem: address.problem };
  const startedAt = performance.now();
  let id: string;
  try {
    const [row] = await sql<{ id: string }[]>`
      select net.http_post(
        url => ${`${address.url}/duebase-deliver`},
        body => probe.body,
        headers => jsonb_build_object(
          'content-type', 'application/json',
          'duebase-signature', billing_private.sign_call(${address.secret}, 'duebase-deliver', probe.body, clock_timestamp())
        ),
        timeout_milliseconds => ${FUNCTION_TIMEOUT_MS}
      )::text as id
      from (select '{"probe": true}'::jsonb as body) as probe`;
    id = row?.id ?? "";
  } catch (error) {
    const { code, message } = error as { code?: string; message: string };
    const isGone = code === "3F000" || code === "42883";
    return {
      is: "refused",
      problem: isGone
        ? "pg_net is not there: create extension pg_net with schema extensions"
        : `pg_net refuses the address (${message}): correct duebase_functions_url in Vault`,
    };
  }
  const answer = await answerTo(sql, id, signal);
  const [verdict] = await sql<{ problem: string | null }[]>`
    select billing_private.outbound_problem(
      'duebase-deliver', ${answer?.status ?? null}, ${answer?.error ?? null}, ${answer?.is_ours ?? false}
    ) as problem`;
  if (verdict?.problem) return { is: "refused", problem: verdict.problem };
  const report = reportIn(answer?.content ?? "");
  if (report === undefined) {
    return {
      is: "refused",
      problem: "duebase-deliver is of an older release: supabase functions deploy duebase-deliver",
    };
  }
  return { is: "answered", report, took: Math.round(performance.now() - startedAt), answeredAt: Date.now() };
}

async function answerTo(sql: Sql, id: string, signal: AbortSignal): Promise<NetAnswer | undefined> {
  const deadline = Date.now() + ANSWER_TIMEOUT_MS;
  while (Date.now() < deadline && !signal.aborted) {
    const [answer] = await sql<NetAnswer[]>`
      select a.status, a.error, a.is_ours, r.content
      from billing_private.net_answers(array[${id}::bigint], now() - interval '5 minutes') as a
      join net._http_response as r on r.id = a.request_id`;
    if (answer) return answer;
    await delay(250);
  }
  return undefined;
}

function reportIn(content: string): SelfReport | undefined {
  try {
    const answer = JSON.parse(content) as { probed?: unknown } & SelfReport;
    return answer.probed === true ? answer : undefined;
  } catch {
    return undefined;
  }
}
