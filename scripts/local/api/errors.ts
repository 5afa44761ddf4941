import { inspect } from "node:util";
import { RelationNotFoundError } from "@supabase/lite";

/** What a failed statement or a lost connection leaves, as the driver throws it. */
interface DatabaseError extends Error {
  code: string;
  detail?: string;
  hint?: string;
}

/** PostgREST's status for a SQLSTATE: the first entry that the state begins with; 400 for all others. */
const statuses: [string, number][] = [
  ["08", 503],
  ["09", 500],
  ["0L", 403],
  ["0P", 403],
  ["25", 500],
  ["28", 403],
  ["2D", 500],
  ["38", 500],
  ["39", 500],
  ["3B", 500],
  ["40", 500],
  ["53400", 500],
  ["53", 503],
  ["54", 500],
  ["55", 500],
  // The server is going down or coming up: PostgREST has no connection to answer with.
  ["57P0", 503],
  ["57", 500],
  ["58", 500],
  ["F0", 500],
  ["HV", 500],
  ["P0001", 400],
  ["P0", 500],
  ["XX", 500],
];

/** States that @supabase/lite answers as PostgREST does; some of them need to know who asked. */
const leftAlone = /^(PT|PGRST|42|22|21|23502|23503|23505|25006)/;

/**
 * Gives an error the shape in which @supabase/lite answers it as PostgREST would: with the SQLSTATE as `code`,
 * message, details and hint, and PostgREST's HTTP status. Left to itself it would answer most states alike, and a
 * caller could not tell a timeout from a refusal of ours.
 */
export function toPostgrestError(error: unknown): unknown {
  if (error instanceof RelationNotFoundError) return terse(error, error.message);
  if (!(error instanceof Error) || typeof (error as DatabaseError).code !== "string") return error;
  const failure = error as DatabaseError;
  if (/^(E[A-Z]+|CONNECT(ION)?_[A-Z_]+)$/.test(failure.code)) {
    return answer(503, "PGRST001", "Database client error. Retrying the connection.", failure.message);
  }
  if (leftAlone.test(failure.code)) return terse(failure, `${failure.code} ${failure.message}`);
  const status = statuses.find(([start]) => failure.code.startsWith(start))?.[1] ?? 400;
  return answer(status, failure.code, failure.message, failure.detail, failure.hint);
}

/** lite takes the whole answer from an error that a function raised with SQLSTATE 'PGRST', as PostgREST does. */
function answer(status: number, code: string, message: string, details?: string, hint?: string): Error {
  const text = JSON.stringify({ code, message, details: details ?? null, hint: hint ?? null });
  const carrier = Object.assign(new Error(text), {
    code: "PGRST",
    detail: JSON.stringify({ status, headers: {} }),
  });
  return terse(carrier, `${code} ${message}`);
}

/** lite prints every error it answers; a line says enough. */
function terse<E extends Error>(error: E, line: string): E {
  return Object.assign(error, { [inspect.custom]: () => `Data API: ${line}` });
}
