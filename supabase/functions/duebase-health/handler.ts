import {
  DatabaseMisconfiguredError,
  DatabaseUnavailableError,
  DuebaseError,
  errorResponse,
  HealthSecretError,
  InvalidFormatError,
  MethodNotAllowedError,
} from "../_duebase/errors.ts";
import { describeError, type Logger, outcomeOf } from "../_duebase/log.ts";
import { RELEASE } from "../_duebase/release.gen.ts";
import type { HasSecret } from "../_duebase/shared-secret.ts";
import { healthAsOpenMetrics, OPENMETRICS_TYPE } from "./openmetrics.ts";

export type Light = "green" | "amber" | "red";

/** A row of `billing.health`: one check. */
export type HealthRow = {
  name: string;
  status: Light;
  value: number | string | null;
  unit: string | null;
  target: string | null;
  meaning: string;
  since: string | null;
  cure: string | null;
};

export type HealthDependencies = {
  hasSecret: HasSecret;
  /** The rows as they are now. */
  readHealth: () => Promise<HealthRow[]>;
  /** Begins to tell the operator what the database could not. */
  tellAlarms: () => void;
  log: Logger;
  /** Milliseconds since the epoch. */
  now: () => number;
};

/** What was found: the rows, or why they could not be read. */
type Finding = { asOf: string; light: Light; checks: HealthRow[]; error?: DuebaseError };

/** Anybody may ask: for so many milliseconds the same answer is given again, and the database is not asked. */
const KEPT_FOR_MS = 5_000;

/**
 * `duebase-health`: for uptime monitors, 200 or 503, and with the secret the rows, as JSON or as OpenMetrics. It is asked
 * from outside, so it answers where the database, cron, pg_net or Vault do not, and tells the alarms that they did not.
 */
export function createHealthHandler(
  dependencies: HealthDependencies,
): (request: Request) => Promise<Response> {
  const { hasSecret, tellAlarms, log, now } = dependencies;
  const find = keptFor(KEPT_FOR_MS, now, () => findOut(dependencies));

  return async (request) => {
    const startedAt = performance.now();
    let outcome: string;
    let response: Response;
    let problem: unknown;
    try {
      if (request.method !== "GET") throw new MethodNotAllowedError("GET");
      const format = formatFor(request);
      const mayRead = await hasSecret(request);
      if (!mayRead && request.headers.has("authorization")) throw new HealthSecretError();
      const finding = await find();
      problem = finding.error;
      outcome = problem === undefined ? finding.light : outcomeOf(problem);
      response = mayRead ? wholeAnswer(finding, format) : statusAnswer(finding);
      tellAlarms();
    } catch (error) {
      problem = error;
      outcome = outcomeOf(error);
      response = errorResponse(error);
    }
    response.headers.set("cache-control", "no-store");
    log(response.status >= 500 ? "error" : response.status >= 400 ? "warn" : "info", {
      outcome,
      status: response.status,
      duration_ms: Math.round(performance.now() - startedAt),
      ...(problem === undefined ? {} : describeError(problem)),
    });
    return response;
  };
}

async function findOut({ readHealth, now }: HealthDependencies): Promise<Finding> {
  const asOf = new Date(now()).toISOString();
  try {
    const checks = await readHealth();
    return { asOf, light: worstOf(checks), checks };
  } catch (error) {
    if (!(error instanceof DuebaseError)) throw error;
    return { asOf, light: "red", checks: [], error };
  }
}

function worstOf(checks: readonly HealthRow[]): Light {
  // A view without rows says nothing, and nothing is not healthy.
  if (checks.length === 0 || checks.some(({ status }) => status === "red")) return "red";
  return checks.some(({ status }) => status === "amber") ? "amber" : "green";
}

/** For everybody: whether it is healthy, and no more than whether the database answers. */
function statusAnswer({ light, error }: Finding): Response {
  return Response.json({ status: light, ...(error && { problem: error.code }) }, { status: statusOf(light) });
}

function wholeAnswer(finding: Finding, format: Format): Response {
  const { asOf, light, checks, error } = finding;
  if (format === "openmetrics") {
    // A scraper throws away the body of any other status, and with it what is wrong.
    return new Response(healthAsOpenMetrics({ asOf, checks, isReachable: error === undefined }), {
      status: error === undefined ? 200 : 503,
      headers: { "content-type": OPENMETRICS_TYPE },
    });
  }
  const problem = error && { code: error.code, message: whatIsWrong(error), ...error.diagnostics };
  return Response.json(
    { status: light, as_of: asOf, release: RELEASE, ...(problem && { problem }), checks },
    { status: statusOf(light) },
  );
}

const statusOf = (light: Light): number => (light === "red" ? 503 : 200);

/** The message of these two speaks to whoever sends events. */
function whatIsWrong(error: DuebaseError): string {
  if (error instanceof DatabaseUnavailableError) {
    return "The database does not answer, or too slowly: nothing can be said of anything else.";
  }
  if (error instanceof DatabaseMisconfiguredError) {
    return "The database does not answer as one that is set up: npx duebase doctor says what is missing.";
  }
  return error.message;
}

type Format = "json" | "openmetrics";

/**
 * What `?format=` says, else what the `accept` header asks for.
 *
 * @throws InvalidFormatError for a format that there is not
 */
function formatFor(request: Request): Format {
  const wanted = new URL(request.url).searchParams.get("format");
  if (wanted === "json" || wanted === "openmetrics") return wanted;
  if (wanted !== null) throw new InvalidFormatError();
  return request.headers.get("accept")?.includes("application/openmetrics-text") ? "openmetrics" : "json";
}

/** The result of `work`, made anew when the last one is older than that; who comes meanwhile waits for the same. */
function keptFor<T>(milliseconds: number, now: () => number, work: () => Promise<T>): () => Promise<T> {
  let last: { at: number; result: Promise<T> } | undefined;
  return () => {
    if (last === undefined || now() - last.at >= milliseconds) {
      const result = work();
      const current = { at: now(), result };
      last = current;
      result.catch(() => {
        if (last === current) last = undefined;
      });
    }
    return last.result;
  };
}
