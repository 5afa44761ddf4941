import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import type { Command } from "commander";
import { namedDatabaseUrl, withDatabase } from "../connections/database.ts";
import { databaseFindings } from "../init/database-obstacles.ts";
import { options } from "../options.ts";
import { changedFiles, currentHash, isTheirsToChange } from "../project/changed-files.ts";
import { applyChanges, type FileChange, finishPending } from "../project/changes.ts";
import { CONFIG_FILE, replaceSections } from "../project/config.ts";
import { hashOf, LOCK_FILE, type Lock, lockText, requireLock } from "../project/lock.ts";
import { MIGRATIONS, nextVersion, readMigrations } from "../project/migrations.ts";
import { deployCommand } from "../project/our-names.ts";
import { findProject, type Project } from "../project/project.ts";
import { type ReleasePackage, readReleasePackage } from "../release-package.ts";
import { Refusal, Terminal } from "../terminal.ts";
import { buildChangedEmails, type EmailUpgrade, sortEmails } from "../upgrade/emails.ts";
import { upgradeMigration } from "../upgrade/migration.ts";
import { compareReleases } from "../upgrade/steps.ts";

interface UpgradeOptions {
  dir?: string;
  dbUrl?: string;
  emails?: boolean;
  overwrite?: boolean;
  dryRun?: boolean;
  json?: boolean;
}

/** What an upgrade will write. */
export interface UpgradePlan {
  from: string;
  to: string;
  /** The file name of the migration; undefined where only emails are put in. */
  migration: string | undefined;
  changes: FileChange[];
  emails: EmailUpgrade;
  /** The functions of the new release. */
  functions: string[];
  /** Functions that the new release no longer has. */
  removedFunctions: string[];
}

/** Adds `duebase upgrade`. */
export function addUpgrade(program: Command): void {
  program
    .command("upgrade")
    .description("bring Duebase in your project to the release of this package")
    .addOption(options.dir())
    .addOption(options.dbUrl())
    .option("--emails", "put the sources of the emails in as well, where they are not yet")
    .option("--overwrite", "replace files of ours that were changed; your changes to them are lost")
    .addOption(options.dryRun())
    .addOption(options.json())
    .addHelpText(
      "after",
      `
Writes one migration with the steps between the installed release and this one, and replaces our functions. It stops at
files of ours that were changed, and lists them. Emails that you changed stay.

Example:
  npm install --save-dev ../duebase/duebase-<release>.tgz
  npx duebase upgrade
  npx supabase db push --linked

then what it names, in that order: the functions of a release work with the database of the next one too, not with one of before.`,
    )
    .action((given: UpgradeOptions) => upgrade(given));
}

async function upgrade(given: UpgradeOptions): Promise<void> {
  const terminal = new Terminal(given);
  const project = findProject(given.dir);
  if (!given.dryRun) {
    const finished = finishPending(project);
    if (finished !== undefined) terminal.say(`Completed duebase ${finished}, which had been interrupted.`);
  }
  const plan = await planUpgrade(project, readReleasePackage(), {
    databaseUrl: namedDatabaseUrl(given.dbUrl),
    withEmails: given.emails === true,
    overwrite: given.overwrite === true,
    now: new Date(),
  });
  if (!given.dryRun && plan.changes.length > 0) applyChanges(project, "upgrade", plan.changes);
  terminal.answer(summary(plan), asText(plan, given.dryRun === true));
}

/**
 * Plans what to write. Changes nothing.
 *
 * @throws Refusal where a file of ours was changed, this package does not know the installed release, or something of
 *   the team's is where ours goes
 */
export async function planUpgrade(
  project: Project,
  release: ReleasePackage,
  options: { databaseUrl?: string; withEmails: boolean; overwrite: boolean; now: Date },
): Promise<UpgradePlan> {
  const lock = requireLock(project);
  if (!options.overwrite) refuseChangedFiles(changedFiles(project, lock));
  const addsEmails = options.withEmails && !lock.emails;
  const isNewer = compareReleases(release.release, lock.release) !== 0;
  const steps = isNewer ? release.stepsFrom(lock.release) : [];
  const next: Lock = { ...lock, emails: lock.emails || addsEmails };
  refuseTakenPaths(project, next, release, addsEmails);

  const emails: EmailUpgrade = next.emails
    ? sortEmails(project, lock, release.emails)
    : { changes: [], kept: [], toMerge: [] };
  const built = emails.kept.length > 0 ? await buildChangedEmails(project, emails.changes) : [];
  const migration = isNewer
    ? {
        path: `${MIGRATIONS}/${await migrationName(project, release.release, options)}`,
        content: Buffer.from(upgradeMigration(lock.release, steps)),
      }
    : undefined;
  const files = [
    ...(migration ? [migration] : []),
    ...release.functions,
    ...(next.emails ? release.emails : []),
  ];
  next.release = release.release;
  if (migration) next.migrations = [...lock.migrations, migration.path.slice(MIGRATIONS.length + 1)];
  next.files = {
    ...Object.fromEntries(Object.entries(lock.files).filter(([path]) => path.startsWith(`${MIGRATIONS}/`))),
    ...Object.fromEntries(files.map(({ path, content }) => [path, hashOf(content)])),
  };
  next.config = { ...lock.config, sections: release.sections.map(({ slug }) => slug) };

  const config = readFileSync(join(project.root, CONFIG_FILE), "utf8");
  const gone = Object.keys(lock.files).filter((path) => !(path in next.files) && !path.startsWith("emails/"));
  const wanted: FileChange[] = [
    ...(migration ? [migration] : []),
    ...withBuilt(release.functions, built),
    ...emails.changes.filter(({ path }) => !built.some((file) => file.path === path)),
    ...built.filter(({ path }) => path.startsWith("emails/")),
    ...gone.map((path) => ({ path, content: null })),
    { path: CONFIG_FILE, content: replaceSections(config, lock.config.sections, release.sections) },
    { path: LOCK_FILE, content: lockText(next) },
  ];
  return {
    from: lock.release,
    to: release.release,
    migration: migration && next.migrations.at(-1),
    changes: wanted.filter(
      ({ path, content }) => (content === null ? undefined : hashOf(content)) !== currentHash(project, path),
    ),
    emails,
    functions: release.sections.map(({ slug }) => slug),
    removedFunctions: slugsOf(Object.keys(lock.files)).filter(
      (slug) => !slugsOf(Object.keys(next.files)).includes(slug),
    ),
  };
}

function withBuilt(functions: readonly FileChange[], built: readonly FileChange[]): FileChange[] {
  return functions.map((file) => built.find(({ path }) => path === file.path) ?? file);
}

function refuseChangedFiles(changed: readonly string[]): void {
  if (changed.length === 0) return;
  throw new Refusal(
    `Files of Duebase's were changed:\n${changed.map((path) => `  - ${path}`).join("\n")}`,
    "Bring each back with git and keep your change outside of our folders; or lose the changes with --overwrite. Nothing was changed.",
  );
}

/** New files of a release must not land on files of the team's. */
function refuseTakenPaths(project: Project, lock: Lock, release: ReleasePackage, addsEmails: boolean): void {
  const taken = release.functions
    .map(({ path }) => path)
    .filter((path) => !(path in lock.files) && existsSync(join(project.root, path)));
  if (addsEmails && existsSync(join(project.root, "emails"))) taken.push("emails");
  const foreign = taken.filter((path) => !isTheirsToChange(lock, path) || path === "emails");
  if (foreign.length === 0) return;
  throw new Refusal(
    `These are there already, where this release puts its own: ${foreign.join(", ")}.`,
    "Rename or remove them. Nothing was changed.",
  );
}

async function migrationName(
  project: Project,
  release: string,
  { databaseUrl, now }: { databaseUrl?: string; now: Date },
): Promise<string> {
  const applied =
    databaseUrl === undefined
      ? []
      : (await withDatabase(databaseUrl, { command: "upgrade" }, databaseFindings)).versions;
  const versions = [...readMigrations(project).map(({ version }) => version), ...applied];
  return `${nextVersion(versions, now)}_duebase_${release.replaceAll(/\W/g, "_")}.sql`;
}

function slugsOf(paths: readonly string[]): string[] {
  return [
    ...new Set(paths.flatMap((path) => path.match(/^supabase\/functions\/(duebase-[^/]+)\//)?.[1] ?? [])),
  ];
}

function summary({ changes, emails, ...plan }: UpgradePlan) {
  const files = changes.map(({ path, content }) => ({
    path,
    change: content === null ? "removed" : "written",
  }));
  return { ...plan, files, kept: emails.kept, toMerge: emails.toMerge };
}

function asText(plan: UpgradePlan, isDryRun: boolean): string {
  const { from, to, migration, changes, emails } = plan;
  if (changes.length === 0) return `This project has ${to}, the release of this package. Nothing to do.`;
  const merged = emails.toMerge.map(
    (path) => `  ${path}  changed by you and by ${to}: compare node_modules/duebase/${path}`,
  );
  return [
    `${isDryRun ? "Would bring" : "Brought"} Duebase from ${from} to ${to}: ${changes.length} files${isDryRun ? ", and nothing was written" : ""}.`,
    ...(migration ? [`  ${MIGRATIONS}/${migration}`] : []),
    ...(emails.kept.length > 0 ? [`Kept as you changed them, and built: ${emails.kept.join(", ")}`] : []),
    ...merged,
    ...(isDryRun ? [] : ["", ...nextSteps(plan)]),
  ].join("\n");
}

/** In this order nothing stands still: functions of a release work with the database of the next one, and not the other way round. */
function nextSteps({ migration, functions, removedFunctions }: UpgradePlan): string[] {
  return [
    "Next, in this order:",
    "  git add supabase && git commit           what was changed is yours to review",
    ...(migration
      ? [
          "  npx supabase db push --linked            the database first; the functions that run go on working",
        ]
      : []),
    `  ${deployCommand(functions)}`,
    ...removedFunctions.map((slug) => `  npx supabase functions delete ${slug}`),
    "  npx duebase doctor                       whether database, functions and files are of one release",
  ];
}
