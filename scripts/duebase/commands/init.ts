import { execFileSync } from "node:child_process";
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import type { Command } from "commander";
import { namedDatabaseUrl, withDatabase } from "../connections/database.ts";
import { databaseFindings } from "../init/database-obstacles.ts";
import { fileObstacles, refuseObstacles } from "../init/obstacles.ts";
import { options } from "../options.ts";
import { applyChanges, type FileChange, finishPending, pendingCommand } from "../project/changes.ts";
import { addToConfig, CONFIG_FILE, EXPOSED_SCHEMA, readConfig } from "../project/config.ts";
import { hashOf, LOCK_FILE, type Lock, lockText, requireLock } from "../project/lock.ts";
import { MIGRATIONS, nextVersion, readMigrations } from "../project/migrations.ts";
import { deployCommand } from "../project/our-names.ts";
import { findProject, type Project } from "../project/project.ts";
import { type ReleasePackage, readReleasePackage } from "../release-package.ts";
import { Terminal } from "../terminal.ts";

interface InitOptions {
  dir?: string;
  dbUrl?: string;
  emails?: boolean;
  dryRun?: boolean;
  json?: boolean;
}

/** What init puts into a project. */
export interface InitPlan {
  release: string;
  migration: string;
  changes: FileChange[];
}

/** Adds `duebase init`. */
export function addInit(program: Command): void {
  program
    .command("init")
    .description("put Duebase into your Supabase project: one migration, our functions, a lock file")
    .addOption(options.dir())
    .addOption(options.dbUrl())
    .option("--emails", "put the sources of the emails in as well, to change them")
    .addOption(options.dryRun())
    .addOption(options.json())
    .addHelpText(
      "after",
      `
Looks first, and changes nothing if something of yours is in the way. Nothing leaves this machine: the database and
the functions change when you push and deploy. With a database named, its schemas and migrations are looked at too.

Example:
  npx duebase init --dry-run
  npx duebase init`,
    )
    .action((given: InitOptions) => init(given));
}

async function init(given: InitOptions): Promise<void> {
  const terminal = new Terminal(given);
  const project = findProject(given.dir);
  if (pendingCommand(project) !== undefined && !given.dryRun) {
    const finished = finishPending(project);
    terminal.say(`Completed duebase ${finished}, which had been interrupted.`);
    if (finished === "init") return report(terminal, project, undefined);
  }
  const plan = await planInit(project, readReleasePackage(), {
    withEmails: given.emails === true,
    databaseUrl: namedDatabaseUrl(given.dbUrl),
    now: new Date(),
  });
  if (given.dryRun) {
    terminal.answer(summary(plan), ["Would write, and nothing was written:", ...lines(plan)].join("\n"));
    return;
  }
  if (hasUncommittedChanges(project)) {
    terminal.warn(
      "This project has changes that are not committed. They stay; ours will be mixed with them in git.",
    );
  }
  applyChanges(project, "init", plan.changes);
  report(terminal, project, plan);
}

/**
 * Looks at the project, and at its database where one is named, and plans what to write. Changes nothing.
 *
 * @throws Refusal with everything that is in the way
 */
export async function planInit(
  project: Project,
  release: ReleasePackage,
  { withEmails, databaseUrl, now }: { withEmails: boolean; databaseUrl: string | undefined; now: Date },
): Promise<InitPlan> {
  const text = readFileSync(join(project.root, CONFIG_FILE), "utf8");
  const config = readConfig(text);
  const inFiles = fileObstacles(project, config, { withEmails });
  const inDatabase =
    databaseUrl === undefined || existsSync(join(project.root, LOCK_FILE))
      ? { obstacles: [], versions: [] }
      : await withDatabase(databaseUrl, { command: "init" }, databaseFindings);
  refuseObstacles([...inFiles, ...inDatabase.obstacles]);

  const versions = [...readMigrations(project).map(({ version }) => version), ...inDatabase.versions];
  const migration = `${nextVersion(versions, now)}_duebase_${release.release.replaceAll(/\W/g, "_")}.sql`;
  const files = [
    { path: `${MIGRATIONS}/${migration}`, content: Buffer.from(await release.installSql()) },
    ...release.functions,
    ...(withEmails ? release.emails : []),
  ];
  const lock: Lock = {
    release: release.release,
    migrations: [migration],
    files: Object.fromEntries(files.map(({ path, content }) => [path, hashOf(content)])),
    emails: withEmails,
    config: {
      sections: release.sections.map(({ slug }) => slug),
      schemas: [EXPOSED_SCHEMA],
      hadSchemas: config.api?.schemas !== undefined,
      hadApi: config.api !== undefined,
    },
  };
  return {
    release: release.release,
    migration,
    changes: [
      ...files,
      { path: CONFIG_FILE, content: addToConfig(text, release.sections) },
      { path: LOCK_FILE, content: lockText(lock) },
    ],
  };
}

function summary({ release, migration, changes }: InitPlan) {
  return { release, migration: `${MIGRATIONS}/${migration}`, files: changes.map(({ path }) => path) };
}

/** A line for each file, and one for each folder of ours. */
function lines({ changes }: InitPlan): string[] {
  const counts = new Map<string, number>();
  for (const { path } of changes) {
    const folder = path.match(/^(supabase\/functions\/[^/]+|emails)\//)?.[1];
    counts.set(folder ?? path, (counts.get(folder ?? path) ?? 0) + 1);
  }
  return [...counts].map(([path, count]) => {
    if (path === CONFIG_FILE) return `  ${path}  gains our functions, and "billing" under [api] schemas`;
    return count === 1 ? `  ${path}` : `  ${path}/  ${count} files`;
  });
}

function report(terminal: Terminal, project: Project, plan: InitPlan | undefined): void {
  const next = [
    "Next:",
    "  git add supabase && git commit           what was added is yours to review",
    "  npx supabase db push --linked            the database, in mirror mode: nothing is mailed or charged",
    `  ${deployCommand(requireLock(project).config.sections)}`,
    "                                           ours alone: without names, yours would be deployed as well",
    "  npx duebase connect                      secrets, Vault, webhooks: only what is missing",
    "  npx duebase doctor                       what is right, what is not, and how to mend it",
  ];
  terminal.answer(
    { ...(plan === undefined ? { completed: true } : summary(plan)), project: project.root },
    [
      ...(plan === undefined ? [] : [`Duebase ${plan.release} is in ${project.root}:`, ...lines(plan), ""]),
      ...next,
    ].join("\n"),
  );
}

/** Whether git knows of changes here; false where there is no git. */
export function hasUncommittedChanges(project: Project): boolean {
  if (!existsSync(project.root)) return false;
  try {
    const output = execFileSync("git", ["status", "--porcelain", "--", "."], {
      cwd: project.root,
      encoding: "utf8",
      stdio: ["ignore", "pipe", "ignore"],
      timeout: 10_000,
    });
    return output.trim() !== "";
  } catch {
    // No git, or no repository: there is nothing to mix with.
    return false;
  }
}
