import type { Command } from "commander";
import type { Sql } from "postgres";
import { LOCAL_PROJECT } from "../../../supabase/functions/_duebase/project-ref.ts";
import { withoutName } from "../doctor/checks/mode.ts";
import type { DoctorContext } from "../doctor/context.ts";
import { diagnosisAsText } from "../doctor/render.ts";
import { type Diagnosis, worstOf } from "../doctor/run.ts";
import { options } from "../options.ts";
import { Refusal, Terminal } from "../terminal.ts";
import { type DoctorOptions, diagnose, withContext } from "./doctor.ts";

/** What going live, or back, changes, counted beforehand. */
interface Outlook {
  mode: "mirror" | "live";
  project_ref: string | null;
  withheld: number;
  old_debts: number;
  unlinked: number;
  open_cases: number;
  pending: number;
}

/** Adds `duebase go-live` and `duebase mirror`. */
export function addGoLive(program: Command): void {
  program
    .command("go-live")
    .description("begins to send mail, to write at Stripe and to chase; refuses while doctor is red")
    .addOption(options.dbUrl())
    .addOption(options.projectRef())
    .addOption(options.dir())
    .addOption(options.yes())
    .addOption(options.dryRun())
    .addOption(options.json())
    .addHelpText(
      "after",
      "\nReads the same variables as doctor. --yes passes what is amber, and never what is red.",
    )
    .action(async (given: DoctorOptions & { dryRun?: boolean }) => {
      const terminal = new Terminal({ json: given.json, yes: given.yes });
      await withContext("go-live", given, (context) => goLive(context, terminal, given.dryRun === true));
    });

  program
    .command("mirror")
    .description("the way back: from now on nothing is sent, written or chased")
    .addOption(options.dbUrl())
    .addOption(options.yes())
    .addOption(options.dryRun())
    .addOption(options.json())
    .action(async (given: DoctorOptions & { dryRun?: boolean }) => {
      const terminal = new Terminal({ json: given.json, yes: given.yes });
      await withContext("mirror", given, ({ sql }) => backToMirror(sql, terminal, given.dryRun === true));
    });
}

/**
 * Asks doctor, shows what will happen, asks, and goes live.
 *
 * @throws Refusal where something is red, there is no Stripe key, or which project this is is not known
 */
export async function goLive(
  context: Omit<DoctorContext, "signal">,
  terminal: Terminal,
  isDryRun: boolean,
): Promise<void> {
  const { sql } = context;
  const projectRef = await projectToGoLive(context);
  // A database that went live as another project is a copy, and going live here is what makes it the original.
  const diagnosis = without(await diagnose(context, terminal), "mode");
  if (diagnosis.light !== "green") terminal.say(diagnosisAsText(diagnosis, process.stdout.columns ?? 80));
  const red = diagnosis.results.filter(({ light }) => light === "red");
  if (red.length > 0) {
    throw new Refusal(
      `Not live: ${red.length} things are red: ${red.map(({ title, says }) => `${title}: ${says}`).join("; ")}`,
      `Mend them from the top: ${red.map(({ cure }) => cure).join("; ")}`,
    );
  }
  const outlook = await readOutlook(sql);
  terminal.say(`\n${whatHappens(outlook, projectRef)}\n`);
  if (isDryRun) {
    terminal.answer({ dry_run: true, outlook, light: diagnosis.light }, "Nothing was changed (--dry-run).");
    return;
  }
  await terminal.confirm(
    diagnosis.light === "amber"
      ? `Go live as ${projectRef}, with what is amber?`
      : `Go live as ${projectRef}?`,
  );
  const [row] = await sql<
    { state: Record<string, unknown> }[]
  >`select billing.go_live(${projectRef}) as state`;
  terminal.answer(row?.state, `Live as ${projectRef}. The way back: npx duebase mirror`);
}

/**
 * Which project goes live: the one whose functions act.
 *
 * @throws Refusal where it is not known, has no name, or is another one than was named; or where nobody could say
 *   whether the history is complete
 */
async function projectToGoLive(context: Omit<DoctorContext, "signal">): Promise<string> {
  const trip = await context.roundTrip();
  const running = trip.is === "answered" ? trip.report.project : undefined;
  const unnamed = withoutName(trip);
  if (unnamed) throw new Refusal(`Not live: ${unnamed.says}.`, `Do this first: ${unnamed.cure}.`);
  // A local address says only that the functions are on this machine; they may have a name of their own.
  const projectRef =
    context.projectRef === LOCAL_PROJECT ? (running ?? LOCAL_PROJECT) : (context.projectRef ?? running);
  if (running !== undefined && projectRef !== running) {
    throw new Refusal(
      `The functions that this database calls run in ${running}, and not in ${projectRef}.`,
      "Name the project whose functions are to act, or correct duebase_functions_url in Vault.",
    );
  }
  if (projectRef === undefined) {
    throw new Refusal(
      "Which project goes live is not known.",
      "Name it with --project-ref: the reference in https://<ref>.supabase.co. Functions of another project send nothing.",
    );
  }
  if (context.stripe === undefined) {
    throw new Refusal(
      "go-live has no Stripe key, so whether the history is complete cannot be looked at.",
      "Give DUEBASE_STRIPE_SECRET_KEY a key that may read, as docs/doctor.md lists, and run it again.",
    );
  }
  return projectRef;
}

async function backToMirror(sql: Sql, terminal: Terminal, isDryRun: boolean): Promise<void> {
  const outlook = await readOutlook(sql);
  terminal.say(
    outlook.mode === "mirror"
      ? "The project is in mirror mode already."
      : `From now on nothing is sent or done: ${outlook.pending} effects that wait are withheld, and ${outlook.open_cases} dunning cases stay open without a step. What is received goes on being received.`,
  );
  if (isDryRun) {
    terminal.answer({ dry_run: true, outlook }, "Nothing was changed (--dry-run).");
    return;
  }
  if (outlook.mode === "live") await terminal.confirm("Go back to mirror mode?");
  const [row] = await sql<{ state: Record<string, unknown> }[]>`select billing.back_to_mirror() as state`;
  terminal.answer(row?.state, "In mirror mode. To go live again: npx duebase go-live");
}

function without({ results }: Diagnosis, check: string): Diagnosis {
  const kept = results.filter((result) => result.check !== check);
  return { light: worstOf(kept), results: kept };
}

async function readOutlook(sql: Sql): Promise<Outlook> {
  const [row] = await sql<Outlook[]>`
    select
      s.mode,
      s.project_ref,
      (select count(*)::integer from billing.outbox as o where o.status = 'withheld') as withheld,
      (select count(*)::integer from billing.outbox as o where o.status in ('pending', 'claimed')) as pending,
      (select count(*)::integer from billing.old_debts(now())) as old_debts,
      (select count(*)::integer from billing.dunning_cases as c where c.status = 'open') as open_cases,
      (
        select count(distinct c.id)::integer
        from billing.customers as c
        join billing.subscriptions as b on b.customer = c.id
        where c.owner_id is null and b.status in ('active', 'trialing', 'past_due')
      ) as unlinked
    from billing.settings as s`;
  if (row) return row;
  throw new Refusal("billing.settings has lost its row.", "insert into billing.settings default values");
}

function whatHappens(outlook: Outlook, projectRef: string): string {
  if (outlook.mode === "live" && outlook.project_ref === projectRef) {
    return `The project is live as ${projectRef} already; nothing changes.`;
  }
  return [
    `From now on mail is sent, Stripe is written to and what falls overdue is chased, by the functions of ${projectRef} alone.`,
    `  ${outlook.withheld} effects of before are withheld, and stay so: nobody is mailed about them.`,
    `  ${outlook.old_debts} debts of before open no case until you release them: npx duebase old-debts`,
    `  ${outlook.unlinked} customers with a running subscription belong to nobody, and nobody has their access.`,
  ].join("\n");
}
