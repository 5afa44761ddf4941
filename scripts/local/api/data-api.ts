import { App } from "@supabase/lite";
import { localKeys } from "../keys.ts";
import { openSql } from "../sql.ts";
import { openConnection } from "./connection.ts";
import { SchemaCache } from "./schema-cache.ts";

/** What the API is opened with. */
export interface ApiOptions {
  /** Connection string for a role that may log in. */
  urlFor(role: string): string;
  /** Schemas the Data API shows. */
  schemas: string[];
  /** At most this many rows an answer. */
  maxRows: number;
  /** Where the links in Auth's mails lead. */
  siteUrl: string;
}

/** Answers one request; `peerAddress` is the client's, from the socket. */
export type Fetch = (request: Request, peerAddress: string | null) => Promise<Response>;

/** The parts of a Supabase project's HTTP surface that @supabase/lite plays. */
export interface Api {
  /** /rest/v1 as PostgREST: logs in as `authenticator` and takes the caller's role. */
  rest: Fetch;
  /** /auth/v1 as the Auth server: logs in as `supabase_auth_admin`. */
  auth: Fetch;
  /** Studio's table editor, which logs in as `postgres` as Studio does. Serve it on loopback only. */
  studio: Fetch;
  close(): Promise<void>;
}

/** Opens Data API, Auth and Studio over one database. */
export async function openApi({ urlFor, schemas, maxRows, siteUrl }: ApiOptions): Promise<Api> {
  const { roleSettings, allSchemas } = await readDatabase(urlFor("supabase_admin"));
  // Only the superuser sees every schema; it is asked for nothing else.
  const introspection = openConnection({ url: urlFor("supabase_admin"), max: 1, takeCallersRole: false });
  const schemaCache = await SchemaCache.open(urlFor("supabase_admin"), introspection);
  const shared = { schemaCache, roleSettings };
  const authenticator = openConnection({
    ...shared,
    url: urlFor("authenticator"),
    max: 16,
    takeCallersRole: true,
  });
  const authAdmin = openConnection({
    ...shared,
    url: urlFor("supabase_auth_admin"),
    max: 4,
    takeCallersRole: false,
  });
  const editor = openConnection({ ...shared, url: urlFor("postgres"), max: 2, takeCallersRole: false });

  const auth = {
    enabled: true,
    site_url: siteUrl,
    jwt_secret: localKeys.jwtSecret,
    publishable_key: localKeys.publishable,
    secret_key: localKeys.secret,
  };
  const base = { api: { enabled: true, schemas, max_rows: maxRows }, auth, storage: { enabled: false } };
  const restApp = new App({
    ...base,
    connection: authenticator,
    studio: { enabled: false },
    options: {
      server: {
        // PostgREST trusts a token's signature and asks Auth nothing; `authenticator` may not read Auth's tables.
        middlewares: [
          async (context, next) => {
            context.set("authService", noSessions as never);
            await next();
          },
        ],
      },
    },
  });
  const authApp = new App({ ...base, connection: authAdmin, studio: { enabled: false } });
  const studioApp = new App({
    ...base,
    // Studio shows whatever there is, whether or not the Data API does.
    api: { ...base.api, schemas: allSchemas },
    connection: editor,
    studio: { enabled: true },
    options: { server: { admin: true } },
  });

  const serve = (app: Pick<App, "fetch">): Fetch => {
    return (request, peerAddress) => app.fetch(request, { peerAddress });
  };
  return {
    rest: serve(restApp),
    auth: serve(authApp),
    studio: serve(studioApp),
    async close() {
      await schemaCache.close();
      await Promise.all(
        [authenticator, authAdmin, editor, introspection].map(({ driver }) => driver.end({ timeout: 1 })),
      );
    },
  };
}

const noSessions = { repo: { findUserById: async () => null, findSessionById: async () => null } };

/**
 * What the API needs to know of the database beforehand: its schemas, and the timeouts and the like that were set on
 * the API roles, which a role that is taken, not logged in as, would lack.
 */
async function readDatabase(
  url: string,
): Promise<{ roleSettings: Record<string, Record<string, string>>; allSchemas: string[] }> {
  const sql = openSql(url);
  try {
    const schemas = await sql<{ name: string }[]>`
      select nspname as name from pg_catalog.pg_namespace where nspname !~ '^(pg_|information_schema$)'
    `;
    const settings = await sql<{ role: string; setting: string }[]>`
      select rolname as role, unnest(rolconfig) as setting
      from pg_catalog.pg_roles
      where rolname in ('anon', 'authenticated', 'service_role')
    `;
    const roleSettings: Record<string, Record<string, string>> = {};
    for (const { role, setting } of settings) {
      const [name = "", ...value] = setting.split("=");
      roleSettings[role] = { ...roleSettings[role], [name]: value.join("=") };
    }
    return { roleSettings, allSchemas: schemas.map(({ name }) => name) };
  } finally {
    await sql.end();
  }
}
