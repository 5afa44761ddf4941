import type { CrashPoint } from "../../_duebase/crash-points.ts";
import type { Outcome } from "../outcome.ts";
import type { Run } from "../run.ts";
import { READ_TOO_SOON, readAndApply, readOpenPayments } from "./refresh.ts";

/** Questions of the database after which reading goes on in another attempt: each answer may bring up more to read. */
const ROUNDS = 6;

/**
 * Asks the database, reads from Stripe what it wants to be sure of, and asks again, until it has decided; then acts on
 * its answer.
 */
export async function decide<Answer extends { read?: readonly { object: string; id: string }[] }>(
  { about, reached }: { about: string; reached: CrashPoint },
  ask: (checked: ReadonlySet<string>) => Promise<Answer>,
  run: Run,
  act: (answer: Answer) => Promise<Outcome>,
): Promise<Outcome> {
  const checked = new Set<string>();
  for (let round = 1; round <= ROUNDS; round++) {
    const answer = await ask(checked);
    await run.reach(reached);
    if (answer.read === undefined) return act(answer);
    if (!(await readAll(answer.read, checked, run))) return READ_TOO_SOON;
  }
  return undecided(about);
}

/** Reads the customer first: a key of another account does not find it, and that shows the wrong key. */
async function readAll(
  wanted: readonly { object: string; id: string }[],
  checked: Set<string>,
  run: Run,
): Promise<boolean> {
  const order = ["customer", "subscription", "invoice", "price"];
  const sorted = [...wanted].sort((one, other) => order.indexOf(one.object) - order.indexOf(other.object));
  for (const { object: kind, id } of sorted) {
    const { object, isDecided } = await readAndApply({ kind, id }, run);
    if (!isDecided) return false;
    if (kind === "invoice") await readOpenPayments(object, run);
    checked.add(id);
  }
  return true;
}

function undecided(what: string): Outcome {
  return {
    is: "failed",
    error: {
      code: "keeps_changing",
      message: `What is decided about ${what} changes faster than it can be read.`,
    },
  };
}
