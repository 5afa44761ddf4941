import { readFileSync } from "node:fs";
import { join } from "node:path";
import type { Command } from "commander";
import { LANGUAGES } from "../../emails/build.ts";
import { requireDatabaseUrl, withDatabase } from "../connections/database.ts";
import { type ManagementApi, managementApi } from "../connections/management.ts";
import { options } from "../options.ts";
import { changedFiles, currentHash } from "../project/changed-files.ts";
import { applyChanges, type FileChange, finishPending } from "../project/changes.ts";
import { CONFIG_FILE, removeFromConfig } from "../project/config.ts";
import { LOCK_FILE, type Lock, requireLock } from "../project/lock.ts";
import { MIGRATIONS, nextVersion, readMigrations } from "../project/migrations.ts";
import { FUNCTION_SECRETS } from "../project/our-names.ts";
import { findProject, linkedProjectRef, type Project } from "../project/project.ts";
import { Refusal, Terminal } from "../terminal.ts";
import { type DatabaseObject, type UninstallFindings, uninstallFindings } from "../uninstall/dependents.ts";
import {
  type PlatformFindings,
  platformFindings,
  refuseOtherProject,
  removeFromPlatform,
} from "../uninstall/platform.ts";
import { removalMigration } from "../uninstall/removal-migration.ts";
import { removeFromDatabase } from "../uninstall/remove-from-database.ts";
import { exportWithProgress } from "./export.ts";

interface UninstallOptions {
  dir?: string;
  dbUrl?: string;
  /** False: `--no-database`. */
  database: boolean;
  /** False: `--no-platform`. */
  platform: boolean;
  projectRef?: string;
  /** False: `--no-export`. */
  export?: string | false;
  discardChanges?: boolean;
  deleteMigrations?: boolean;
  yes?: boolean;
  dryRun?: boolean;
  json?: boolean;
}

/** Adds `duebase uninstall`. */
export function addUninstall(program: Command): void {
  program
    .command("uninstall")
    .description("take Duebase out of your database and your files")
    .addOption(options.dir())
    .addOption(options.dbUrl())
    .option("--no-database", "leave the database to the migration that is written, when you push it")
    .addOption(options.projectRef())
    .option(
      "--no-platform",
      "leave deployed functions, secrets and the exposed schema; the commands are printed",
    )
    .option("--export <file>", "write every table into this archive first")
    .option("--no-export", "write no archive")
    .option("--discard-changes", "remove files of ours that were changed too")
    .option(
      "--delete-migrations",
      "delete our migrations and write none: only where they were never pushed anywhere",
    )
    .addOption(options.yes())
    .addOption(options.dryRun())
    .addOption(options.json())
    .addHelpText(
      "after",
      `
Lists first what of yours depends on Duebase, such as policies that ask has_feature, and stops there if there is any.
Then it removes our cron jobs, names in Vault, schemas and triggers from the database; with SUPABASE_ACCESS_TOKEN set, the
deployed functions, secrets and exposed schema of the project; and our functions, sections of config.toml and lock file
from your files. Our migrations stay in your history; one that removes all of it is added, so
that each branch and each reset ends without Duebase too.

Example:
  npx duebase uninstall --dry-run
  npx duebase uninstall --export billing.tar.gz`,
    )
    .action((given: UninstallOptions) => uninstall(given));
}

async function uninstall(given: UninstallOptions): Promise<void> {
  const terminal = new Terminal(given);
  const project = findProject(given.dir);
  if (!given.dryRun) {
    const finished = finishPending(project);
    if (finished !== undefined) terminal.say(`Completed duebase ${finished}, which had been interrupted.`);
    if (finished === "uninstall") {
      terminal.answer({ completed: true }, "Duebase is out of your files.");
      return;
    }
  }
  const lock = requireLock(project);
  if (!given.discardChanges) refuseChanged(project, lock);
  const url = given.database ? databaseFor(given) : undefined;
  const findings =
    url === undefined
      ? undefined
      : await withDatabase(url, { command: "uninstall" }, (sql) => uninstallFindings(sql));
  if (findings) refuseTheirs(findings);
  const api = given.platform ? hostedProject(project, given.projectRef) : undefined;
  if (api !== undefined && url !== undefined) refuseOtherProject(url, api.projectRef);
  const platform = api && (await platformFindings(api, lock.config.sections));
  const changes = planFiles(project, lock, {
    deleteMigrations: given.deleteMigrations === true,
    now: new Date(),
  });
  terminal.say(planText(lock, findings, platform, changes));
  if (given.dryRun) {
    terminal.answer(
      { dryRun: true, ...findings, platform, files: changes.map(({ path }) => path) },
      "Nothing was changed.",
    );
    return;
  }
  const archive = findings?.isInstalled ? await archiveFor(terminal, given) : undefined;
  if (archive !== undefined && url !== undefined) await exportWithProgress(terminal, url, archive);
  await terminal.confirm("Remove all of it? This cannot be undone.");
  // First, so that nothing of ours is called that finds its tables gone.
  if (api !== undefined && platform !== undefined) await removeFromPlatform(api, platform);
  if (url !== undefined && findings?.isInstalled) await removeFromDatabase(url, lock.release);
  applyChanges(project, "uninstall", changes);
  const commands = platform === undefined ? platformCommands(lock) : [];
  terminal.answer(
    { removed: true, archive, database: findings?.isInstalled ?? false, platform, commands },
    doneText(commands, { hasDatabase: url !== undefined, hasMigration: given.deleteMigrations !== true }),
  );
}

/** The hosted project, where a token is set and the project is linked or named. */
function hostedProject(project: Project, ref?: string): ManagementApi | undefined {
  const isNamed = ref ?? process.env.SUPABASE_PROJECT_ID ?? linkedProjectRef(project);
  return process.env.SUPABASE_ACCESS_TOKEN && isNamed ? managementApi(project, ref) : undefined;
}

function databaseFor(given: UninstallOptions): string {
  try {
    return requireDatabaseUrl(given.dbUrl);
  } catch (error) {
    if (!(error instanceof Refusal)) throw error;
    throw new Refusal(
      error.message,
      `${error.cure} With --no-database the files alone are changed, and the database when you push the migration.`,
    );
  }
}

function refuseChanged(project: Project, lock: Lock): void {
  // A file that is gone has nothing to lose.
  const changed = [
    ...changedFiles(project, lock),
    // The list of languages is written by every build of the emails.
    ...Object.keys(lock.files).filter((path) => path.startsWith("emails/") && path !== LANGUAGES),
  ].filter((path) => ![undefined, lock.files[path]].includes(currentHash(project, path)));
  if (changed.length === 0) return;
  throw new Refusal(
    `Files of Duebase's were changed, and would be removed:\n${listed(changed)}`,
    "Save what you need of them, then run this again with --discard-changes. Nothing was changed.",
  );
}

function refuseTheirs({ theirs }: UninstallFindings): void {
  if (theirs.length === 0) return;
  const shown = names(theirs.slice(0, MOST_SHOWN));
  const more = theirs.length - shown.length;
  throw new Refusal(
    `${theirs.length} of your objects are in Duebase's schemas, on its tables, or depend on it, and would go with it:\n${listed(more > 0 ? [...shown, `and ${more} more`] : shown)}`,
    "Change or drop each of them first, in a migration of yours. Nothing was changed.",
  );
}

/** Objects that are named one by one. */
const MOST_SHOWN = 100;

/** What becomes of each file of the project. */
export function planFiles(
  project: Project,
  lock: Lock,
  { deleteMigrations, now }: { deleteMigrations: boolean; now: Date },
): FileChange[] {
  const config = readFileSync(join(project.root, CONFIG_FILE), "utf8");
  const versions = readMigrations(project).map(({ version }) => version);
  const removal = `${nextVersion(versions, now)}_remove_duebase.sql`;
  const ours = Object.keys(lock.files).filter(
    (path) => deleteMigrations || !path.startsWith(`${MIGRATIONS}/`),
  );
  return [
    ...ours.map((path) => ({ path, content: null })),
    ...(deleteMigrations
      ? []
      : [{ path: `${MIGRATIONS}/${removal}`, content: removalMigration(lock.release) }]),
    { path: CONFIG_FILE, content: removeFromConfig(config, lock.config) },
    { path: LOCK_FILE, content: null },
  ];
}

async function archiveFor(terminal: Terminal, given: UninstallOptions): Promise<string | undefined> {
  if (given.export === false) return undefined;
  if (given.export !== undefined) return given.export;
  const answer = await terminal.ask(
    "Where should an archive of all tables go? (empty: no archive)",
    "Say --export <file>, or --no-export.",
  );
  return answer === "" ? undefined : answer;
}

function planText(
  lock: Lock,
  findings: UninstallFindings | undefined,
  platform: PlatformFindings | undefined,
  changes: FileChange[],
): string {
  const removed = changes.filter(({ content }) => content === null).length;
  const written = changes.filter(({ content }) => content !== null).map(({ path }) => path);
  return [
    `This takes Duebase ${lock.release} out:`,
    ...(findings === undefined
      ? [
          written.some((path) => path.startsWith(`${MIGRATIONS}/`))
            ? "  the database: when the migration below is applied"
            : "  the database: nothing, as our migrations were never pushed anywhere",
        ]
      : findings.isInstalled
        ? [
            "  the database: schemas billing and billing_private, our cron jobs, names in Vault, triggers on auth.users",
          ]
        : ["  the database: Duebase is not in it"]),
    platform === undefined
      ? "  the hosted project: nothing, as no access token is set or no project is linked; the commands are printed"
      : `  the hosted project ${platform.projectRef}: functions ${platform.functions.join(", ") || "none"}; secrets ${platform.secrets.join(", ") || "none"}; ${platform.isExposed ? "the exposed schema" : "its schema is not exposed"}`,
    `  your files: ${removed} removed, and changed: ${written.join(", ")}`,
    ...(findings && findings.mentions.length > 0
      ? ["These of yours name our schemas and would fail when they run:", listed(names(findings.mentions))]
      : []),
  ].join("\n");
}

/** What is left to do on the platform. */
function platformCommands(lock: Lock): string[] {
  return [
    `in the dashboard: take "billing" out of the exposed schemas (Settings, Data API)`,
    ...lock.config.sections.map((slug) => `npx supabase functions delete ${slug}`),
    `npx supabase secrets unset ${FUNCTION_SECRETS.join(" ")}`,
  ];
}

function doneText(
  commands: readonly string[],
  { hasDatabase, hasMigration }: { hasDatabase: boolean; hasMigration: boolean },
): string {
  return [
    `Duebase is out of ${hasDatabase ? "your database and " : ""}your files. Left to do:`,
    ...(hasMigration
      ? [
          "  npx supabase db push --linked     the migration that was written; where nothing is left of ours, it does nothing",
        ]
      : []),
    ...commands.map((command) => `  ${command}`),
    "  at Stripe and Resend: delete the webhook endpoints of duebase-stripe-webhook and duebase-resend-webhook",
    "Extensions stay, as others may use them: pg_cron, pg_net.",
  ].join("\n");
}

function names(objects: readonly DatabaseObject[]): string[] {
  return objects.map(({ type, identity }) => `${type} ${identity}`);
}

function listed(lines: readonly string[]): string {
  return lines.map((line) => `  - ${line}`).join("\n");
}
