import type { Check, Finding, Light } from "./check.ts";
import type { DoctorContext } from "./context.ts";

/** What a check found, with what it is called. */
export interface Result extends Finding {
  check: string;
  title: string;
}

/** What doctor says of a project. */
export interface Diagnosis {
  /** The worst of all results. */
  light: Light;
  results: Result[];
}

const TIMEOUT_MS = 15_000;

/**
 * Runs all checks at once, each for its own time: one that hangs or fails says so, and the others go on.
 *
 * @param onDone told as each check ends, with the titles of those that are still at it
 */
export async function runChecks(
  checks: readonly Check[],
  context: Omit<DoctorContext, "signal">,
  onDone: (waitingFor: string[]) => void = () => {},
): Promise<Diagnosis> {
  const waitingFor = new Set(checks);
  const perCheck = await Promise.all(
    checks.map(async (check) => {
      const findings = await runCheck(check, context);
      waitingFor.delete(check);
      onDone([...waitingFor].map(({ title }) => title));
      return findings.map((finding) => ({ check: check.name, title: check.title, ...finding }));
    }),
  );
  const results = perCheck.flat();
  return { light: worstOf(results), results };
}

/** The worst light; green of none. */
export function worstOf(findings: readonly Finding[]): Light {
  if (findings.some(({ light }) => light === "red")) return "red";
  return findings.some(({ light }) => light === "amber") ? "amber" : "green";
}

async function runCheck(check: Check, context: Omit<DoctorContext, "signal">): Promise<Finding[]> {
  const timeout = check.timeout ?? TIMEOUT_MS;
  const controller = new AbortController();
  let timer: ReturnType<typeof setTimeout> | undefined;
  const late = new Promise<Finding[]>((resolve) => {
    timer = setTimeout(() => {
      controller.abort();
      resolve([
        {
          light: "red",
          says: `it did not come to an end within ${timeout / 1000} s`,
          cure: "run doctor again; if it stays so, see whether the database and the functions answer at all",
        },
      ]);
    }, timeout);
  });
  try {
    const look = check.look({ ...context, signal: controller.signal });
    return await Promise.race([look.catch(failure), late]);
  } finally {
    clearTimeout(timer);
  }
}

function failure(error: unknown): Finding[] {
  const { code, message } = error as { code?: string; message?: string };
  const isGone = ["42P01", "42883", "3F000", "42703"].includes(code ?? "");
  return [
    {
      light: "red",
      says: `it could not be looked at: ${String(message ?? error).slice(0, 200)}`,
      cure: isGone
        ? "the database lacks something of ours: supabase db push --linked"
        : "mend what the message names, and run doctor again",
    },
  ];
}
