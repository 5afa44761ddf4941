import { type Diagnostics, DuebaseError, StripeCallError } from "./errors.ts";

/** How much a line matters. The platform files lines by it. */
export type LogLevel = "info" | "warn" | "error";

/**
 * All that may be written about a request. The list is closed on purpose: bodies, headers, signatures,
 * keys and card data have no field to go into.
 */
export type LogFields = Diagnostics & {
  /** Stripe's event id. */
  event?: string;
  /** Stripe's event type. */
  type?: string;
  /** Stripe's customer id. */
  customer?: string;
  /** The application's user: an id of auth.users. */
  user?: string;
  /** For whom that user acts: an id of the application's. */
  owner?: string;
  /** Id in billing.outbox. */
  effect?: number;
  /** Of that effect: email, stripe, refresh, alert. */
  kind?: string;
  /** Which attempt it was. */
  attempt?: number;
  /** How many effects of a run came to which end. */
  counts?: Record<string, number>;
  /** What became of it: the database's answer, or an error's code. */
  outcome: string;
  /** HTTP status answered, or got from the other side. */
  status?: number;
  duration_ms: number;
  /** Class and place of an unexpected exception, without its message, which may quote its input. */
  exception?: string;
};

/** Writes one line about a request. */
export type Logger = (level: LogLevel, fields: LogFields) => void;
/** Where a line goes that is written out. */
export type WriteLine = (level: LogLevel, line: string) => void;

/** The platform files lines under the console method they came through. */
const writeToConsole: WriteLine = (level, line) => console[level](line);

/** A logger that writes one line of JSON a call. */
export function createLogger(functionName: string, write: WriteLine = writeToConsole): Logger {
  return (level, fields) => {
    write(
      level,
      JSON.stringify({ time: new Date().toISOString(), level, function: functionName, ...fields }),
    );
  };
}

/** What a log line calls an error: by its code, which of a call that failed at Stripe is Stripe's. */
export function outcomeOf(error: unknown): string {
  if (error instanceof DuebaseError) return error.code;
  return (error instanceof StripeCallError ? loggableId(error.code) : undefined) ?? "internal_error";
}

/** What a log line says of an error: its diagnostics, or for an unexpected one where it was thrown. */
export function describeError(error: unknown): Diagnostics & { exception?: string } {
  if (error instanceof DuebaseError) return error.diagnostics;
  if (error instanceof StripeCallError) {
    // Stripe's message may quote what was sent.
    const reason = error.isPassing
      ? "Stripe did not answer, or reported a failure."
      : "Stripe refused a call.";
    return { reason, upstream_status: error.status };
  }
  if (!(error instanceof Error)) return { exception: typeof error };
  return { exception: [error.name, firstFrame(error)].filter(Boolean).join(" ") };
}

function firstFrame(error: Error): string | undefined {
  // The stack opens with the message, which may itself look like a frame.
  const frames = error.stack?.replace(error.message, "").split("\n");
  return frames?.find((line) => /^\s+at .+:\d+:\d+\)?$/.test(line))?.trim();
}

/** Ids and type names as they are; anything else is left out, so that a log line never carries free text. */
export function loggableId(value: unknown): string | undefined {
  return typeof value === "string" && /^[\w.-]{1,128}$/.test(value) ? value : undefined;
}
