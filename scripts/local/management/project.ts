import { createHash, randomUUID } from "node:crypto";
import { existsSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { badRequest, notFound } from "./errors.ts";

/** What a hosted project is made of, as far as the Management API shows it. */
export interface ProjectOptions {
  /** 20 small letters. */
  ref: string;
  /** Schemas that the Data API exposes at first. */
  exposedSchemas?: string[];
  /** A folder of functions, all of which are deployed: every slug in it with an index.ts. */
  functionsFolder?: string;
  /** ACTIVE_HEALTHY where absent; INACTIVE is a paused project. */
  status?: string;
  /** Called after the functions' secrets changed, with all of them. */
  onSecrets?: (secrets: ReadonlyMap<string, string>) => void | Promise<void>;
  /** Called after the exposed schemas changed. */
  onExposedSchemas?: (schemas: readonly string[]) => void | Promise<void>;
  /** Called after a function was deleted. */
  onRemoved?: (slug: string) => void | Promise<void>;
}

interface FunctionState {
  id: string;
  version: number;
  verifyJwt: boolean;
  /** Milliseconds since the epoch. */
  at: number;
}

const longestValue = 24_576;

/** A hosted project's settings, as the platform keeps them. */
export class HostedProject {
  readonly ref: string;
  /** The functions' secrets by name; the API shows their digests only. */
  readonly secrets = new Map<string, string>();
  exposedSchemas: string[];
  readonly functions = new Map<string, FunctionState>();
  readonly #options: ProjectOptions;
  readonly #createdAt = new Date();
  readonly #changed = new Map<string, Date>();

  constructor(options: ProjectOptions) {
    this.#options = options;
    this.ref = options.ref;
    this.exposedSchemas = options.exposedSchemas ?? ["public", "graphql_public"];
    if (options.functionsFolder) for (const slug of slugsIn(options.functionsFolder)) this.deploy(slug);
  }

  /** As `supabase functions deploy`: a first version, or the next one. */
  deploy(slug: string, { verifyJwt = false } = {}): void {
    const known = this.functions.get(slug);
    const id = known?.id ?? randomUUID();
    this.functions.set(slug, { id, version: (known?.version ?? 0) + 1, verifyJwt, at: Date.now() });
  }

  async remove(slug: string): Promise<void> {
    if (!this.functions.delete(slug)) throw notFound("Function");
    await this.#options.onRemoved?.(slug);
  }

  async setSecrets(given: unknown): Promise<void> {
    const secrets = readSecrets(given);
    for (const { name, value } of secrets) {
      this.secrets.set(name, value);
      this.#changed.set(name, new Date());
    }
    await this.#options.onSecrets?.(this.secrets);
  }

  async removeSecrets(given: unknown): Promise<void> {
    if (!Array.isArray(given) || !given.every((name) => typeof name === "string")) {
      throw badRequest("The body is a list of names.");
    }
    for (const name of given) this.secrets.delete(name);
    await this.#options.onSecrets?.(this.secrets);
  }

  async configureDataApi(given: unknown): Promise<object> {
    const schemas = (given as { db_schema?: unknown } | null)?.db_schema;
    if (schemas !== undefined) {
      if (typeof schemas !== "string") throw badRequest("db_schema must be a string");
      this.exposedSchemas = schemas.split(",").map((schema) => schema.trim());
      await this.#options.onExposedSchemas?.(this.exposedSchemas);
    }
    return this.dataApi();
  }

  dataApi(): object {
    return {
      db_schema: this.exposedSchemas.join(","),
      db_extra_search_path: "public,extensions",
      max_rows: 1000,
      db_pool: null,
    };
  }

  /** In the order of their names; a value is shown as its digest. */
  shownSecrets(): object[] {
    return [...this.secrets]
      .sort(([left], [right]) => (left < right ? -1 : 1))
      .map(([name, value]) => ({
        name,
        value: createHash("sha256").update(value).digest("hex"),
        updated_at: (this.#changed.get(name) ?? this.#createdAt).toISOString(),
      }));
  }

  shownFunctions(): object[] {
    return [...this.functions].map(([slug, { id, version, verifyJwt, at }]) => ({
      id,
      slug,
      name: slug,
      status: "ACTIVE",
      version,
      created_at: at,
      updated_at: at,
      verify_jwt: verifyJwt,
      import_map: false,
      entrypoint_path: `file:///tmp/functions/${slug}/index.ts`,
    }));
  }

  shown(): object {
    return {
      id: this.ref,
      ref: this.ref,
      organization_id: "exampleorganization",
      organization_slug: "exampleorganization",
      name: "example",
      region: "eu-central-1",
      created_at: this.#createdAt.toISOString(),
      status: this.#options.status ?? "ACTIVE_HEALTHY",
      database: {
        host: `db.${this.ref}.supabase.co`,
        version: "17.6.1.021",
        postgres_engine: "17",
        release_channel: "ga",
      },
    };
  }
}

/** The slugs that a deploy of the whole folder would take. */
function slugsIn(folder: string): string[] {
  return readdirSync(folder, { withFileTypes: true })
    .filter((entry) => entry.isDirectory() && !entry.name.startsWith("_"))
    .map(({ name }) => name)
    .filter((slug) => existsSync(join(folder, slug, "index.ts")));
}

function readSecrets(given: unknown): { name: string; value: string }[] {
  if (!Array.isArray(given)) throw badRequest("The body is a list of secrets.");
  return given.map((secret: unknown) => {
    const { name, value } = (secret ?? {}) as Record<string, unknown>;
    if (typeof name !== "string" || name === "" || name.length > 256) {
      throw badRequest("name must be a string of 1 to 256 characters");
    }
    if (name.startsWith("SUPABASE_")) throw badRequest("name must not start with the SUPABASE_ prefix");
    if (typeof value !== "string" || value.length > longestValue) {
      throw badRequest(`value must be a string of at most ${longestValue} characters`);
    }
    return { name, value };
  });
}
