import { type Command, InvalidArgumentError } from "commander";
import type { Sql } from "postgres";
import { requireDatabaseUrl, withDatabase } from "../connections/database.ts";
import { checks } from "../doctor/checks/index.ts";
import type { DoctorContext } from "../doctor/context.ts";
import { openContext, type Whereabouts } from "../doctor/open.ts";
import { type Question, questions } from "../doctor/questions.ts";
import { diagnosisAsText } from "../doctor/render.ts";
import { type Diagnosis, runChecks } from "../doctor/run.ts";
import { options } from "../options.ts";
import { ExitCode, Terminal } from "../terminal.ts";

type Answers = Partial<Record<Question["name"], boolean>>;

/** What doctor and go-live are told. */
export interface DoctorOptions extends Whereabouts {
  dbUrl?: string;
  json?: boolean;
  yes?: boolean;
  answer?: Answers;
}

/** Adds `duebase doctor`. */
export function addDoctor(program: Command): void {
  program
    .command("doctor")
    .description(
      "looks at database, functions, Stripe and Resend, and says what is not right and how to mend it",
    )
    .addOption(options.dbUrl())
    .addOption(options.projectRef())
    .addOption(options.dir())
    .option(
      "--answer <question=yes|no>",
      `what no API shows, for the record: ${Object.keys(questions).join(", ")}`,
      readAnswer,
    )
    .option(
      "--access-query <sql>",
      "who has access now: a select in your database that gives owner_id and feature; says who would lose it",
    )
    .addOption(options.json())
    .addHelpText(
      "after",
      `
Reads DUEBASE_DB_URL, and where they are set DUEBASE_STRIPE_SECRET_KEY, DUEBASE_STRIPE_WEBHOOK_SECRET,
DUEBASE_RESEND_API_KEY and DUEBASE_RESEND_WEBHOOK_SECRET. Keys that may only read are enough. It changes nothing but
the answers to its questions. Exit code 1: something is red.

Example:
  DUEBASE_STRIPE_SECRET_KEY=rk_live_\u2026 npx duebase doctor --db-url postgresql://\u2026`,
    )
    .action(async (given: DoctorOptions) => {
      const terminal = new Terminal({ json: given.json });
      await withContext("doctor", given, async (context) => {
        await keepAnswers(context.sql, given.answer ?? {});
        if (terminal.isInteractive && !terminal.json) await askOpenQuestions(context.sql, terminal);
        const diagnosis = await diagnose(context, terminal);
        terminal.answer(
          { release: context.release, ...diagnosis },
          diagnosisAsText(diagnosis, process.stdout.columns ?? 80),
        );
        if (diagnosis.light === "red") process.exitCode = ExitCode.refused;
      });
    });
}

/** Opens the database that was named, for a command that looks as doctor does. */
export async function withContext(
  command: string,
  given: DoctorOptions,
  work: (context: Omit<DoctorContext, "signal">) => Promise<void>,
): Promise<void> {
  // Checks that wait for a lock are not to hold up the others, so there are several connections.
  await withDatabase(
    requireDatabaseUrl(given.dbUrl),
    { command, statementTimeout: 10_000, connections: 4 },
    async (sql) => work(await openContext(sql, given)),
  );
}

/** Runs all checks, with progress. */
export async function diagnose(
  context: Omit<DoctorContext, "signal">,
  terminal: Terminal,
): Promise<Diagnosis> {
  const found: { diagnosis?: Diagnosis } = {};
  await terminal.progress(
    [
      {
        title: `Looking at ${checks.length} things`,
        task: async (_context, task) => {
          found.diagnosis = await runChecks(checks, context, (waitingFor) => {
            const done = checks.length - waitingFor.length;
            const [first, ...more] = waitingFor;
            task.title =
              first === undefined
                ? `Looked at ${checks.length} things`
                : `Looked at ${done} of ${checks.length}; waiting for ${[first, ...more].slice(0, 3).join(", ")}`;
          });
        },
      },
    ],
    {},
  );
  if (!found.diagnosis) throw new Error("the checks ended without a diagnosis");
  return found.diagnosis;
}

function readAnswer(text: string, earlier: Answers = {}): Answers {
  const [name = "", word = ""] = text.split("=");
  if (!(name in questions) || !["yes", "no"].includes(word)) {
    throw new InvalidArgumentError(`write ${Object.keys(questions).join(" or ")}, then =yes or =no`);
  }
  return { ...earlier, [name]: word === "yes" };
}

async function keepAnswers(sql: Sql, answers: Answers): Promise<void> {
  for (const [name, isRight] of Object.entries(answers)) {
    await sql`select billing_private.record_setup_answer(${name}, ${isRight}, now())`;
  }
}

async function askOpenQuestions(sql: Sql, terminal: Terminal): Promise<void> {
  const rows = await sql<{ question: string }[]>`select a.question from billing.setup_answers as a`;
  for (const { name, asks, link } of Object.values(questions)) {
    if (rows.some(({ question }) => question === name)) continue;
    const answer = await terminal.ask(
      `${asks}\n  No API shows it; see ${link}\n  yes, no, or Enter to be asked again next time:`,
      `Answer with --answer ${name}=yes`,
    );
    if (/^(y|yes|n|no)$/i.test(answer)) await keepAnswers(sql, { [name]: /^y/i.test(answer) });
  }
}
