import { createPostgresConnection, type PostgresConnection } from "@supabase/lite/postgres";
import { type Kysely, sql } from "kysely";
import type { PostgresType } from "postgres";
import { toPostgrestError } from "./errors.ts";
import type { SchemaCache } from "./schema-cache.ts";
import { Sessions } from "./sessions.ts";

/** What a connection is opened with. */
export interface ConnectionOptions {
  url: string;
  /** At most this many sessions. */
  max: number;
  /** Knows the schema; the connection reads it itself where absent. */
  schemaCache?: SchemaCache;
  /**
   * Whether a request takes the role of its key or token, as in the Data API. Studio does not: it stays who it
   * logged in as.
   */
  takeCallersRole: boolean;
  /** Settings a role brings along when it is taken, e.g. `{ anon: { statement_timeout: "3s" } }`. */
  roleSettings?: Record<string, Record<string, string>>;
}

/** Of what @supabase/lite hands to its connection about a request, the parts that matter in the database. */
interface RequestContext {
  auth?: { role?: string; uid?: string | null; jwt?: Record<string, unknown> | null };
}

/** The HTTP side of an RPC, which its function may read from `request.*`. */
interface RpcRequest {
  method: string;
  path: string;
  requestHeaders?: Record<string, string>;
}

/**
 * Arguments of an RPC come from @supabase/lite as JSON text already, which the driver's own serialiser would turn
 * into a JSON string once more. Only an argument that is a plain string comes as itself.
 */
function toJsonText(value: unknown): string {
  if (typeof value !== "string") return JSON.stringify(value);
  if (/^\s*[[{]/.test(value)) return value;
  try {
    JSON.parse(value);
    return value;
  } catch {
    return JSON.stringify(value);
  }
}

function jsonType(oid: number): PostgresType {
  return {
    to: oid,
    from: [oid],
    serialize: toJsonText,
    parse: (text: string): unknown => JSON.parse(text),
  };
}

/**
 * A connection of @supabase/lite that behaves towards the database as PostgREST does on the platform.
 *
 * Left to itself, lite would grant every API role everything in any schema that has row level security, and so
 * undo what migrations do not grant; and it would take no notice of the roles' timeouts.
 */
export function openConnection(options: ConnectionOptions): PostgresConnection {
  const connection = createPostgresConnection({
    url: options.url,
    postgresOptions: {
      max: options.max,
      onnotice: () => {},
      connect_timeout: 5,
      // A database that comes back is found again at once.
      backoff: () => 0.1,
      connection: { application_name: "duebase-local-api" },
      types: { json: jsonType(114), jsonb: jsonType(3802) },
    },
  });
  Object.assign(connection, {
    ensureRlsContext: async () => true,
    normalizeDbError: toPostgrestError,
    applyJwtSessionContext: async (transaction: Kysely<unknown>, context: RequestContext) => {
      await setLocally(transaction, callerSettings(context, options));
    },
    applyRpcRequestGucs: async (transaction: Kysely<unknown>, request: RpcRequest) => {
      await setLocally(transaction, {
        "response.status": "",
        "response.headers": "",
        "request.method": request.method,
        "request.path": request.path,
        "request.headers": JSON.stringify(request.requestHeaders ?? {}),
      });
    },
  });
  const { driver } = connection;
  const [sessions, endDriver] = [new Sessions(driver, options.max), driver.end];
  Object.assign(driver, {
    reserve: () => sessions.reserve(),
    end: async (how?: { timeout?: number }) => {
      await Promise.all([sessions.end(how), endDriver(how)]);
    },
  });
  const { schemaCache } = options;
  if (schemaCache) Object.assign(connection, { introspect: async () => schemaCache.schema });
  return connection;
}

/** What a request says of its caller. The role comes last: taken, it brings its own settings along. */
function callerSettings(
  { auth }: RequestContext,
  { takeCallersRole, roleSettings }: ConnectionOptions,
): Record<string, string> {
  const role = auth?.role ?? "anon";
  return {
    "request.jwt.claim.sub": String(auth?.uid ?? auth?.jwt?.sub ?? ""),
    "request.jwt.claim.role": role,
    "request.jwt.claims": JSON.stringify(auth?.jwt ?? { role }),
    ...(takeCallersRole ? { ...roleSettings?.[role], role } : {}),
  };
}

/** Sets all for the rest of the transaction, in one round trip. */
async function setLocally(transaction: Kysely<unknown>, settings: Record<string, string>): Promise<void> {
  const calls = Object.entries(settings).map(([name, value]) => sql`set_config(${name}, ${value}, true)`);
  await sql`select ${sql.join(calls)}`.execute(transaction);
}
