import { readBody } from "./body.ts";
import type { CheckCaller } from "./cron-signature.ts";
import { errorResponse, MethodNotAllowedError } from "./errors.ts";
import { describeError, type Logger, outcomeOf } from "./log.ts";
import type { SelfReport } from "./self-report.ts";

/** What a request may ask for; all but `wait` and `probe` only of the local stack. */
export type RunOptions = {
  /** Answer when the run is over, with what came of it, instead of at once. */
  wait?: boolean;
  /** Do not run: answer what the function is set up with. */
  probe?: boolean;
  /** The clock that due-ness goes by, ISO 8601. */
  now?: string;
  /** A crash point to stop at for ever, and which time it is reached (from 1). */
  stop_at?: string;
  stop_at_nth?: number;
};

/** What a function that the database calls needs of its surroundings. */
export type CronEndpointDependencies = {
  checkCaller: CheckCaller;
  /** One run; resolves with what came of it, in counts. */
  run: (options: RunOptions) => Promise<Record<string, number>>;
  /** What the function is set up with and how it gets on with it, for `duebase doctor`; never a secret. */
  report: () => Promise<SelfReport>;
  /** Keeps the function alive until work that outlasts its answer is done. */
  inBackground: (work: Promise<unknown>) => void;
  /** Whether a request may set a clock and a crash point: on the local stack only. */
  isLocal: boolean;
  log: Logger;
  /** Milliseconds since the epoch, by the real clock: signatures go by it. */
  now: () => number;
};

/** The body of a call is a few options at most. */
const MAX_BODY_BYTES = 4096;

/**
 * A function that cron calls, and every transaction that enqueues something: checks the signature, answers 202 at
 * once, as pg_net does not wait, and runs. Calls that come while a run is under way add one more run after it and no more.
 */
export function createCronEndpoint(
  dependencies: CronEndpointDependencies,
): (request: Request) => Promise<Response> {
  const { checkCaller, inBackground, isLocal, log } = dependencies;
  const wake = inTurns(() => dependencies.run({}));

  return async (request) => {
    const startedAt = performance.now();
    try {
      if (request.method !== "POST") throw new MethodNotAllowedError("POST");
      const body = await readBody(request, MAX_BODY_BYTES);
      await checkCaller(request.headers, body, dependencies.now());
      const options = readOptions(body, isLocal);
      if (options.probe) return Response.json({ probed: true, ...(await dependencies.report()) });
      if (options.wait) return Response.json(await dependencies.run(options));
      inBackground(
        wake().catch((error: unknown) => {
          log("error", {
            outcome: outcomeOf(error),
            duration_ms: Math.round(performance.now() - startedAt),
            ...describeError(error),
          });
        }),
      );
      return Response.json({ accepted: true }, { status: 202 });
    } catch (error) {
      const response = errorResponse(error);
      log(response.status >= 500 ? "error" : "warn", {
        outcome: outcomeOf(error),
        status: response.status,
        duration_ms: Math.round(performance.now() - startedAt),
        ...describeError(error),
      });
      return response;
    }
  };
}

/** pg_net sends `{}`; what cannot be read asks for nothing. */
function readOptions(body: Uint8Array, isLocal: boolean): RunOptions {
  let options: unknown;
  try {
    options = JSON.parse(new TextDecoder().decode(body));
  } catch {
    return {};
  }
  if (typeof options !== "object" || options === null) return {};
  const { wait, probe, now, stop_at, stop_at_nth } = options as RunOptions;
  return isLocal ? { wait, probe, now, stop_at, stop_at_nth } : { wait, probe };
}

/** Runs one at a time: calls during a run share the one that follows it. */
function inTurns(work: () => Promise<unknown>): () => Promise<unknown> {
  let running: Promise<unknown> | undefined;
  let following: Promise<unknown> | undefined;
  const start = () => {
    const current: Promise<unknown> = work().finally(() => {
      if (running === current) running = undefined;
    });
    running = current;
    return current;
  };
  return () => {
    if (running === undefined) return start();
    following ??= running
      .catch(() => {})
      .then(() => {
        following = undefined;
        return start();
      });
    return following;
  };
}
