import { existsSync, readdirSync, readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { join } from "node:path";
import { EXPOSED_SCHEMA, ourSlugsIn, type ProjectConfig } from "../project/config.ts";
import { LOCK_FILE } from "../project/lock.ts";
import { migrationsMaking } from "../project/migrations.ts";
import type { Project } from "../project/project.ts";
import { Refusal } from "../terminal.ts";
import { compareReleases } from "../upgrade/steps.ts";
import { type Obstacle, OLDEST_POSTGRES } from "./obstacle.ts";

/** The oldest Supabase CLI whose `db push`, `functions deploy` and `[functions.*]` work as the docs say. */
const OLDEST_CLI = "2.0.0";

/** Looks for what is in the way in the project's files; changes nothing. */
export function fileObstacles(
  project: Project,
  config: ProjectConfig,
  { withEmails }: { withEmails: boolean },
): Obstacle[] {
  const installed = installedAlready(project);
  // Everything else of ours is there too then, and is no obstacle of its own.
  if (installed.length > 0) return installed;
  return [
    ...takenSchemas(project),
    ...takenFolders(project, withEmails),
    ...takenConfig(config),
    ...unfitConfig(config),
    ...oldCli(project),
  ];
}

/**
 * Refuses with every obstacle at once, so that a person can put them right in one go.
 *
 * @throws Refusal where there is any
 */
export function refuseObstacles(obstacles: readonly Obstacle[]): void {
  const [first, ...others] = obstacles;
  if (first === undefined) return;
  const list = obstacles.map(({ what, cure }) => `  - ${what}\n    ${cure}`).join("\n");
  throw new Refusal(
    others.length === 0
      ? `Something is in the way: ${first.what}.`
      : `${obstacles.length} things are in the way:\n${list}`,
    others.length === 0 ? `${first.cure} Nothing was changed.` : "Nothing was changed.",
  );
}

function installedAlready(project: Project): Obstacle[] {
  if (!existsSync(join(project.root, LOCK_FILE))) return [];
  return [
    {
      what: `Duebase is in this project already (${LOCK_FILE})`,
      cure: "For a newer release: npx duebase upgrade. To begin anew: npx duebase uninstall",
    },
  ];
}

function takenSchemas(project: Project): Obstacle[] {
  return migrationsMaking(project, ["billing", "billing_private"]).map((place) => ({
    what: `a migration of yours makes a schema of our name (${place})`,
    cure: "Rename the schema in a new migration of yours: alter schema billing rename to …;",
  }));
}

function takenFolders(project: Project, withEmails: boolean): Obstacle[] {
  const functions = join(project.supabase, "functions");
  const taken = existsSync(functions)
    ? readdirSync(functions)
        .filter((name) => name === "_duebase" || name.startsWith("duebase-"))
        .map((name) => `supabase/functions/${name}`)
    : [];
  if (withEmails && existsSync(join(project.root, "emails"))) taken.push("emails");
  return taken.map((path) => ({
    what: `${path} is there already`,
    cure:
      path === "emails"
        ? "Rename that folder, or leave out --emails."
        : "Rename or remove that folder: our functions go there.",
  }));
}

function takenConfig(config: ProjectConfig): Obstacle[] {
  const found = ourSlugsIn(config).map((slug) => ({
    what: `supabase/config.toml has a section [functions.${slug}] already`,
    cure: "Remove the section: ours is added with its settings.",
  }));
  if (config.api?.schemas?.includes(EXPOSED_SCHEMA)) {
    found.push({
      what: `supabase/config.toml exposes a schema ${EXPOSED_SCHEMA} already`,
      cure: `Take "${EXPOSED_SCHEMA}" out of schemas under [api]: it will be ours.`,
    });
  }
  return found;
}

function unfitConfig(config: ProjectConfig): Obstacle[] {
  const found: Obstacle[] = [];
  if (config.api?.enabled === false) {
    found.push({
      what: "supabase/config.toml switches the Data API off ([api] enabled = false), by which our functions reach the database",
      cure: "Set enabled = true under [api].",
    });
  }
  const major = config.db?.major_version;
  if (major !== undefined && major < OLDEST_POSTGRES) {
    found.push({
      what: `supabase/config.toml says PostgreSQL ${major} ([db] major_version)`,
      cure: `Upgrade the project to PostgreSQL ${OLDEST_POSTGRES} or later and write its number there.`,
    });
  }
  return found;
}

/** The Supabase CLI that the project itself depends on; others are not known from here. */
export function projectCliVersion(project: Project): string | undefined {
  try {
    const manifest = createRequire(join(project.root, "package.json")).resolve("supabase/package.json");
    return (JSON.parse(readFileSync(manifest, "utf8")) as { version: string }).version;
  } catch {
    return undefined;
  }
}

function oldCli(project: Project): Obstacle[] {
  const version = projectCliVersion(project);
  if (version === undefined || compareReleases(version, OLDEST_CLI) >= 0) return [];
  return [
    {
      what: `the project's Supabase CLI is ${version}`,
      cure: `Use ${OLDEST_CLI} or later: npm install --save-dev supabase@latest`,
    },
  ];
}
