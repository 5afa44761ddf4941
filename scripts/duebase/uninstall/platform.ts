import type { ManagementApi } from "../connections/management.ts";
import { EXPOSED_SCHEMA } from "../project/config.ts";
import { Refusal } from "../terminal.ts";

/** What of ours a hosted project has, outside of its database. */
export interface PlatformFindings {
  projectRef: string;
  /** Slugs of deployed functions. */
  functions: string[];
  /** Names of secrets. */
  secrets: string[];
  /** The schemas that stay exposed; undefined where ours is not. */
  exposedAfter: string[] | undefined;
}

/** Looks at the hosted project; changes nothing. */
export async function platformFindings(api: ManagementApi): Promise<PlatformFindings> {
  const functions = await api.functions();
  const secrets = await api.secretDigests();
  const exposed = await api.exposedSchemas();
  return {
    projectRef: api.projectRef,
    functions: functions.map(({ slug }) => slug).filter((slug) => slug.startsWith("duebase-")),
    secrets: [...secrets.keys()].filter((name) => name.startsWith("DUEBASE_")).sort(),
    exposedAfter: exposed.includes(EXPOSED_SCHEMA)
      ? exposed.filter((schema) => schema !== EXPOSED_SCHEMA)
      : undefined,
  };
}

/**
 * Takes our functions away and stops exposing our schema, before the database loses what they use; and the secrets.
 * Each call may be made again.
 */
export async function removeFromPlatform(api: ManagementApi, findings: PlatformFindings): Promise<void> {
  for (const slug of findings.functions) await api.deleteFunction(slug);
  if (findings.exposedAfter) await api.exposeSchemas(findings.exposedAfter);
  await api.deleteSecrets(findings.secrets);
}

/**
 * Refuses to take one project's database and another project's functions.
 *
 * @param url the database's address, which on the platform names its project
 * @throws Refusal where the two differ
 */
export function refuseOtherProject(url: string, projectRef: string): void {
  const { hostname, username } = new URL(url);
  const ref = hostname.match(/^db\.([a-z]{20})\.supabase\.co$/)?.[1] ?? username.match(/\.([a-z]{20})$/)?.[1];
  if (ref === undefined || ref === projectRef) return;
  throw new Refusal(
    `The database is that of project ${ref}, and the linked project is ${projectRef}.`,
    `Name the same project twice: --project-ref ${ref}, or the other database with --db-url. Nothing was changed.`,
  );
}
