import type { Database } from "./database.gen.ts";
import {
  DatabaseMisconfiguredError,
  DatabaseRefusal,
  DatabaseUnavailableError,
  type Diagnostics,
  InvalidEventError,
} from "./errors.ts";

/** A second under the 8 s after which the platform cancels a statement: the answer has to be ours. */
export const DATABASE_TIMEOUT_MS = 7_000;

type BillingFunctions = Database["billing"]["Functions"];
/** The name of a function of schema `billing` that the Data API offers. */
export type BillingFunction = keyof BillingFunctions & string;

/** How the functions reach the database: through the Data API, as `service_role`. */
export type DatabaseSettings = {
  /** The project's address, without a path. */
  url: string;
  /** `sb_secret_…`, or the older JWT of `service_role`. */
  secretKey: string;
  /** Which project asks. Required: without it the database takes the caller for another project's. */
  projectRef: string;
  timeoutMs?: number;
  fetch?: typeof fetch;
};

/**
 * Calls one function of schema `billing` with its arguments as JSON text and returns what it returned.
 * It throws `DatabaseRefusal` or `InvalidEventError` where nothing was committed, and
 * `DatabaseUnavailableError` or `DatabaseMisconfiguredError` where that is not known.
 */
export type CallBilling = <Name extends BillingFunction>(
  name: Name,
  args: string,
) => Promise<BillingFunctions[Name]["Returns"]>;

/**
 * The Data API as `service_role`. Arguments are passed as text and not as objects, so that nothing is encoded twice. PostgREST
 * hands the text to Postgres, and an event's numbers reach `jsonb` as Stripe wrote them. The local stack's @supabase/lite
 * parses it first and rounds integers above 2^53. Answers are parsed here, with the same limit.
 */
export function connectDatabase(settings: DatabaseSettings): CallBilling {
  const headers = keyHeaders(settings.secretKey);
  return async (name, args) =>
    (await callDataApi(settings, name, headers, args)) as BillingFunctions[typeof name]["Returns"];
}

/**
 * One call of a function of schema `billing`, as whoever `identity` (headers) shows to the Data API. `call` is the
 * function's name, with filters of its rows behind it where there are any; `args` are JSON text.
 *
 * @returns the answer's JSON, which is never null
 * @throws as CallBilling
 */
export async function callDataApi(
  settings: DatabaseSettings,
  call: string,
  identity: Record<string, string>,
  args: string,
): Promise<unknown> {
  const { url, projectRef, timeoutMs = DATABASE_TIMEOUT_MS, fetch: send = fetch } = settings;
  let response: Response;
  let text: string;
  try {
    response = await send(`${url}/rest/v1/rpc/${call}`, {
      method: "POST",
      headers: {
        ...identity,
        accept: "application/json",
        "content-type": "application/json",
        "content-profile": "billing",
        "duebase-project": projectRef,
      },
      body: args,
      // Following one would hand the key to wherever it points.
      redirect: "manual",
      // Covers the answer's body too.
      signal: AbortSignal.timeout(timeoutMs),
    });
    text = await response.text();
  } catch (cause) {
    const timedOut = cause instanceof Error && cause.name === "TimeoutError";
    const reason = timedOut ? `No answer within ${timeoutMs} ms.` : "The Data API cannot be reached.";
    throw new DatabaseUnavailableError({ reason }, cause);
  }
  const body = parseAnswer(text);
  if (!response.ok) throw databaseError(response.status, body);
  if (body === undefined || body === null) {
    throw new DatabaseMisconfiguredError({
      reason: "The answer is not JSON: SUPABASE_URL does not lead to a Data API.",
      upstream_status: response.status,
    });
  }
  return body;
}

/**
 * A secret key goes into `apikey` alone: it is no JWT, and PostgREST refuses it as a bearer token. A JWT
 * of `service_role` goes into both. https://supabase.com/docs/guides/functions/auth-headers
 */
export function keyHeaders(key: string): Record<string, string> {
  return key.startsWith("sb_") ? { apikey: key } : { apikey: key, authorization: `Bearer ${key}` };
}

function parseAnswer(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

/** Not the caller's fault and gone by itself: https://docs.postgrest.org/en/stable/references/errors.html */
const PASSING = /^(08|53|57|58)|^(25006|40001|40P01|55P03|PGRST00[0-3])$/;

/** Text or a number `jsonb` cannot hold, or more structure than Postgres will parse. */
const UNSTORABLE = /^22|^54/;

/** What to put right, for the mistakes a set-up can have. */
const MISTAKES: ReadonlyArray<[RegExp, string]> = [
  [
    /^(PGRST202|42883)$/,
    "The function is not in schema billing: apply the migrations, then reload the schema cache.",
  ],
  [/^(PGRST106|3F000)$/, "Schema billing is not exposed: add it to api.schemas."],
  [/^(PGRST30[0-3])$/, "The Data API does not accept the secret key: check SUPABASE_SECRET_KEYS."],
  [
    /^42501$/,
    "The caller's role (service_role, or a signed-in user's) may not call the function: check that the key is a secret key, and the grants.",
  ],
];

/** Turns an answer that is no success into the error it means. */
function databaseError(status: number, body: unknown): Error {
  const { code, message, hint, details } = errorFields(body);
  const diagnostics: Diagnostics = { sqlstate: loggableCode(code), upstream_status: status };

  if (code.startsWith("DU")) return new DatabaseRefusal(code, message, hint, diagnostics, details);
  if (UNSTORABLE.test(code)) {
    return new InvalidEventError("unstorable_event", "The event cannot be stored as jsonb.", diagnostics);
  }
  const mistake = MISTAKES.find(([pattern]) => pattern.test(code))?.[1] ?? mistakeOfStatus(status);
  if (mistake !== undefined && !PASSING.test(code)) {
    return new DatabaseMisconfiguredError({ reason: mistake, ...diagnostics });
  }
  return new DatabaseUnavailableError({ reason: "The Data API reported a failure.", ...diagnostics });
}

function mistakeOfStatus(status: number): string | undefined {
  if (status === 408 || status === 429 || status >= 500) return undefined;
  if (status === 401 || status === 403) {
    return "The Data API does not accept the secret key: check SUPABASE_SECRET_KEYS.";
  }
  if (status === 404 || status < 400) return "There is no Data API at SUPABASE_URL.";
  return "The Data API refused the call in a way it should not.";
}

function errorFields(body: unknown): Record<"code" | "message" | "hint" | "details", string> {
  const fields: Record<string, unknown> = typeof body === "object" && body !== null ? { ...body } : {};
  const text = (name: string) => (typeof fields[name] === "string" ? fields[name] : "");
  return { code: text("code"), message: text("message"), hint: text("hint"), details: text("details") };
}

function loggableCode(code: string): string | undefined {
  return /^[A-Z0-9]{5,8}$/.test(code) ? code : undefined;
}
