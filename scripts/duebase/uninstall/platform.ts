import { projectOfDatabase } from "../connections/database.ts";
import type { ManagementApi } from "../connections/management.ts";
import { EXPOSED_SCHEMA } from "../project/config.ts";
import { FUNCTION_SECRETS } from "../project/our-names.ts";
import { Refusal } from "../terminal.ts";

/** What of ours a hosted project has, outside of its database. */
export interface PlatformFindings {
  projectRef: string;
  /** Slugs of deployed functions. */
  functions: string[];
  /** Names of secrets. */
  secrets: string[];
  /** Whether the Data API exposes our schema. */
  isExposed: boolean;
}

/**
 * Looks at the hosted project; changes nothing.
 *
 * @param slugs of the functions that were put into the team's folder
 */
export async function platformFindings(
  api: ManagementApi,
  slugs: readonly string[],
): Promise<PlatformFindings> {
  const functions = await api.functions();
  const secrets = await api.secretDigests();
  const exposed = await api.exposedSchemas();
  return {
    projectRef: api.projectRef,
    functions: functions.map(({ slug }) => slug).filter((slug) => slugs.includes(slug)),
    secrets: [...secrets.keys()].filter((name) => FUNCTION_SECRETS.includes(name)).sort(),
    isExposed: exposed.includes(EXPOSED_SCHEMA),
  };
}

/**
 * Takes our functions away and stops exposing our schema, before the database loses what they use; and the secrets.
 * Each call may be made again.
 */
export async function removeFromPlatform(api: ManagementApi, findings: PlatformFindings): Promise<void> {
  for (const slug of findings.functions) await api.deleteFunction(slug);
  // Read again: others may have been exposed since the plan was shown.
  const exposed = await api.exposedSchemas();
  if (exposed.includes(EXPOSED_SCHEMA)) {
    await api.exposeSchemas(exposed.filter((schema) => schema !== EXPOSED_SCHEMA));
  }
  await api.deleteSecrets(findings.secrets);
}

/**
 * Refuses to take one project's database and another project's functions.
 *
 * @param url the database's address, which on the platform names its project
 * @throws Refusal where the two differ
 */
export function refuseOtherProject(url: string, projectRef: string): void {
  const ref = projectOfDatabase(new URL(url));
  if (ref === undefined || ref === projectRef) return;
  throw new Refusal(
    `The database is that of project ${ref}, and the linked project is ${projectRef}.`,
    `Name the same project twice: --project-ref ${ref}, or the other database with --db-url. Nothing was changed.`,
  );
}
