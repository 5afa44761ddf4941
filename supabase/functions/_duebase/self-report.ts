import { DuebaseError } from "./errors.ts";

/** How a function gets on with something it needs: `ok`, or what is in the way. */
export type Finding = {
  /** `ok`, or the code of what went wrong: ours, Stripe's, Resend's. */
  is: string;
  /** What it means, without secrets. */
  says?: string;
};

/**
 * What a function that cron calls is set up with, as it sees it itself. The secrets of Edge Functions cannot be read from
 * outside, so whoever wants to know whether they are right has to ask the function. Holds no secret.
 */
export type SelfReport = {
  function: string;
  /** The project it runs in: its reference, or `local`. */
  project: string;
  /** Whether that is the local stack of a developer, where nothing leaves the machine. */
  local_stack?: boolean;
  /** The function's clock, ISO 8601. */
  clock: string;
  /** The Data API, as the function reaches it. */
  database: Finding;
  /** A signed probe event to `duebase-stripe-webhook`, and through it to the database. */
  webhook?: Finding;
  /** The Stripe key: whether Stripe takes it, and it is of the mode and account that this project mirrors. */
  stripe?: Finding & { mode: "live" | "test" | "unknown" };
  resend?: Finding;
  /** DUEBASE_EMAIL_FROM, an address. */
  email_from?: string | null;
  /** Whether alerts have somewhere to go: by mail, by webhook. */
  alerts?: { email: boolean; webhook: boolean };
};

/** Longest a part of the report may take, so that the whole of it is there before anybody's patience ends. */
export const PART_TIMEOUT_MS = 6_000;

/** Runs one part of a report; whatever it throws, and that it takes too long, becomes the finding. */
export async function findingOf(work: () => Promise<Finding>): Promise<Finding> {
  let timer: ReturnType<typeof setTimeout> | undefined;
  const late = new Promise<Finding>((resolve) => {
    timer = setTimeout(
      () => resolve({ is: "no_answer", says: `No answer within ${PART_TIMEOUT_MS / 1000} s.` }),
      PART_TIMEOUT_MS,
    );
  });
  try {
    return await Promise.race([work().catch(failure), late]);
  } finally {
    clearTimeout(timer);
  }
}

function failure(error: unknown): Finding {
  const code = (error as { code?: unknown } | null)?.code;
  const reason = error instanceof DuebaseError ? error.diagnostics.reason : undefined;
  return {
    is: typeof code === "string" ? code : "internal_error",
    says: String(reason ?? (error instanceof Error ? error.message : error)).slice(0, 300),
  };
}

/** The part of a report that every function has. `ask` is a question to the database, whatever it is about. */
export async function reportDatabase(
  who: Pick<SelfReport, "function" | "project">,
  ask: () => Promise<unknown>,
): Promise<SelfReport> {
  const database = await findingOf(async () => {
    await ask();
    return { is: "ok" };
  });
  return { ...who, clock: new Date().toISOString(), database };
}
