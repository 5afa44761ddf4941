import { createHash } from "node:crypto";
import { z } from "zod";
import { linkedProjectRef, type Project } from "../project/project.ts";
import { Refusal } from "../terminal.ts";
import {
  type ApiAnswer,
  type ApiRequest,
  type ApiSettings,
  callApi,
  isFine,
  named,
  shaped,
  withoutSecrets,
} from "./http.ts";

// Supabase's Management API (https://supabase.com/docs/reference/api), as far as duebase needs it.

/** Supabase refused a call. */
export class ManagementError extends Refusal {
  override readonly name = "ManagementError";
  /** HTTP status. */
  readonly status: number;
  /** What the token lacks, as the dashboard names it; null where it is something else. */
  readonly permission: string | null;

  constructor(status: number, message: string, cure: string, permission: string | null = null) {
    super(message, cure);
    this.status = status;
    this.permission = permission;
  }
}

const projectShape = z.looseObject({
  id: z.string(),
  name: z.string(),
  region: z.string(),
  /** ACTIVE_HEALTHY, INACTIVE (paused), … */
  status: z.string(),
  database: z.looseObject({ host: z.string(), version: z.string().optional() }).optional(),
});

const functionShape = z.looseObject({
  slug: z.string(),
  name: z.string(),
  /** ACTIVE, REMOVED or THROTTLED. */
  status: z.string(),
  version: z.number(),
  verify_jwt: z.boolean().optional(),
  /** Milliseconds since the epoch. */
  updated_at: z.number(),
});

const secretShape = z.looseObject({
  name: z.string(),
  /** SHA-256 of the secret, in hexadecimal. */
  value: z.string(),
});

const dataApiShape = z.looseObject({
  /** Exposed schemas, separated by commas. */
  db_schema: z.string(),
});

const apiKeyShape = z.looseObject({
  name: z.string(),
  /** legacy, publishable or secret. */
  type: z.string().nullish(),
  api_key: z.string().nullish(),
});

/** A hosted project. */
export type HostedProject = z.infer<typeof projectShape>;
/** A deployed Edge Function. */
export type DeployedFunction = z.infer<typeof functionShape>;
/** A key of the project's API. Its value is a secret, unless it is publishable. */
export type ProjectApiKey = z.infer<typeof apiKeyShape>;

/** Where a project is managed, and by whom. */
export interface ManagementOptions extends Partial<Pick<ApiSettings, "timeout" | "wait">> {
  /** 20 small letters. */
  projectRef: string;
  /** A personal access token, `sbp_…`. */
  accessToken: string;
  /** Default https://api.supabase.com. */
  apiUrl?: string;
}

/** What each call needs of a scoped access token. https://supabase.com/docs/guides/platform/access-tokens */
const PERMISSIONS = {
  project: "Project Settings (read)",
  functionsRead: "Edge Functions (read)",
  functionsWrite: "Edge Functions (read-write)",
  secretsRead: "Edge Function Secrets (read)",
  secretsWrite: "Edge Function Secrets (read-write)",
  dataApiRead: "Data API Config (read)",
  dataApiWrite: "Data API Config (read-write)",
  apiKeys: "API Keys (read)",
} as const;
type Permission = keyof typeof PERMISSIONS;

const TOKENS_PAGE = "https://supabase.com/dashboard/account/tokens";

/** The SHA-256 of a secret's value, as Supabase shows it in the list of secrets. */
export function secretDigest(value: string): string {
  return createHash("sha256").update(value).digest("hex");
}

/**
 * The ref of the hosted project: what `--project-ref` says, else SUPABASE_PROJECT_ID, else the linked one.
 *
 * @throws Refusal where none is named, or it is no ref
 */
export function requireProjectRef(project: Project, option?: string, env = process.env): string {
  const [source, ref] =
    option !== undefined
      ? ["--project-ref", option]
      : env.SUPABASE_PROJECT_ID
        ? ["SUPABASE_PROJECT_ID", env.SUPABASE_PROJECT_ID]
        : ["supabase/.temp/project-ref", linkedProjectRef(project)];
  if (ref === undefined) {
    throw new Refusal(
      "No hosted project was named.",
      "Link yours with: npx supabase link --project-ref <ref>, or name it with --project-ref.",
    );
  }
  if (!/^[a-z]{20}$/.test(ref)) {
    throw new Refusal(
      `${source} is no project ref: ${ref}`,
      "A ref is 20 small letters: in the dashboard's address after /project/.",
    );
  }
  return ref;
}

/**
 * The access token of SUPABASE_ACCESS_TOKEN.
 *
 * @throws Refusal where it is not set
 */
export function requireAccessToken(env = process.env): string {
  const token = env.SUPABASE_ACCESS_TOKEN?.trim();
  if (token) return token;
  throw new Refusal(
    "SUPABASE_ACCESS_TOKEN is not set.",
    `Make a token at ${TOKENS_PAGE} and set it: read -rs SUPABASE_ACCESS_TOKEN && export SUPABASE_ACCESS_TOKEN`,
  );
}

/**
 * The API for a project on this machine: the ref and the token as above, and the address that SUPABASE_API_URL names,
 * as the Supabase CLI reads it.
 *
 * @throws Refusal where ref or token is missing
 */
export function managementApi(
  project: Project,
  projectRef?: string,
  env = process.env,
  settings: Pick<ManagementOptions, "timeout" | "wait"> = {},
): ManagementApi {
  return new ManagementApi({
    ...settings,
    projectRef: requireProjectRef(project, projectRef, env),
    accessToken: requireAccessToken(env),
    apiUrl: env.SUPABASE_API_URL,
  });
}

/** One hosted project, through Supabase's Management API. Every call may throw ManagementError or NoAnswer. */
export class ManagementApi {
  readonly projectRef: string;
  readonly #settings: ApiSettings;
  /** What was sent and is not to be seen, should an answer repeat it. */
  readonly #secrets: Set<string>;

  constructor({ projectRef, accessToken, apiUrl, ...rest }: ManagementOptions) {
    this.projectRef = projectRef;
    const baseUrl = apiUrl ?? "https://api.supabase.com";
    this.#settings = { service: "Supabase", baseUrl, secret: accessToken, ...rest };
    this.#secrets = new Set([accessToken]);
  }

  /** The project itself. */
  async project(): Promise<HostedProject> {
    return await this.#read("project", "", projectShape);
  }

  /** Every deployed function, ours and theirs. */
  async functions(): Promise<DeployedFunction[]> {
    return await this.#read("functionsRead", "/functions", z.array(functionShape));
  }

  /** Takes a function away. One that is not there is no error. */
  async deleteFunction(slug: string): Promise<void> {
    const path = `/functions/${encodeURIComponent(slug)}`;
    await this.#call("functionsWrite", "DELETE", path, undefined, [404]);
  }

  /** The functions' secrets: the digest of each by its name. Values cannot be read. */
  async secretDigests(): Promise<Map<string, string>> {
    const secrets = await this.#read("secretsRead", "/secrets", z.array(secretShape));
    return new Map(secrets.map(({ name, value }) => [name, value]));
  }

  /** Sets secrets by name; others stay. Functions have them without being deployed again. */
  async setSecrets(secrets: Record<string, string>): Promise<void> {
    for (const value of Object.values(secrets)) this.#secrets.add(value);
    const body = Object.entries(secrets).map(([name, value]) => ({ name, value }));
    if (body.length > 0) await this.#call("secretsWrite", "POST", "/secrets", body);
  }

  /** Takes secrets away. Those that are not there are no error. */
  async deleteSecrets(names: readonly string[]): Promise<void> {
    if (names.length > 0) await this.#call("secretsWrite", "DELETE", "/secrets", names);
  }

  /** The schemas that the Data API exposes, in their order. */
  async exposedSchemas(): Promise<string[]> {
    const { db_schema } = await this.#read("dataApiRead", "/postgrest", dataApiShape);
    return db_schema
      .split(",")
      .map((schema) => schema.trim())
      .filter((schema) => schema !== "");
  }

  /** Has the Data API expose exactly these schemas; its other settings stay. */
  async exposeSchemas(schemas: readonly string[]): Promise<void> {
    await this.#call("dataApiWrite", "PATCH", "/postgrest", { db_schema: schemas.join(",") });
  }

  /**
   * The keys of the project's API.
   *
   * @param reveal with the values of secret keys, which needs the permission API Key Secrets too
   */
  async apiKeys({ reveal }: { reveal: boolean }): Promise<ProjectApiKey[]> {
    return await this.#read("apiKeys", `/api-keys?reveal=${reveal}`, z.array(apiKeyShape));
  }

  async #read<T>(permission: Permission, path: string, shape: z.ZodType<T>): Promise<T> {
    const { body } = await this.#call(permission, "GET", path);
    return shaped("Supabase", { method: "GET", path: this.#path(path), isRepeatable: true }, shape, body);
  }

  async #call(
    permission: Permission,
    method: ApiRequest["method"],
    path: string,
    body?: unknown,
    alsoFine: readonly number[] = [],
  ): Promise<ApiAnswer> {
    const request: ApiRequest = {
      method,
      path: this.#path(path),
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
      // Every call here sets a state, and so may be made twice.
      isRepeatable: true,
    };
    const answer = await callApi(this.#settings, request);
    if (isFine(answer, alsoFine)) return answer;
    throw this.#refusal(permission, request, answer);
  }

  #path(path: string): string {
    return `/v1/projects/${this.projectRef}${path}`;
  }

  #refusal(permission: Permission, request: ApiRequest, { status, body }: ApiAnswer): ManagementError {
    const said = `${status}${withoutSecrets(messageOf(body), this.#secrets)}`;
    if (status === 401) {
      return new ManagementError(
        status,
        `Supabase does not accept the access token (${said}).`,
        `Is SUPABASE_ACCESS_TOKEN whole, and not expired? Make another at ${TOKENS_PAGE}`,
      );
    }
    if (status === 403) {
      const needed = PERMISSIONS[permission];
      return new ManagementError(
        status,
        `The access token may not do ${named(request)} (${said}).`,
        `It needs the permission ${needed} for project ${this.projectRef}, and your role in its organization has to allow it: ${TOKENS_PAGE}`,
        needed,
      );
    }
    if (status === 404) {
      return new ManagementError(
        status,
        `Supabase knows no project ${this.projectRef} (${said}).`,
        "Is --project-ref right, and does the access token belong to an account of its organization?",
      );
    }
    if (status === 429) {
      return new ManagementError(
        status,
        "Supabase takes no more calls for now (429): 120 a minute for each endpoint.",
        "Wait a minute and run the command again.",
      );
    }
    return new ManagementError(
      status,
      `Supabase refused ${named(request)} (${said}).`,
      status >= 500
        ? "Supabase has a fault or the project is not running: see https://status.supabase.com and the dashboard. Then run the command again."
        : "The message says what Supabase did not take.",
    );
  }
}

/** What Supabase says of a refusal, on one line and bounded. */
function messageOf(body: unknown): string {
  const message = typeof body === "object" && body !== null && "message" in body ? body.message : undefined;
  const text = Array.isArray(message) ? message.join(", ") : message;
  return typeof text === "string" && text !== "" ? `: ${text.replace(/\s+/g, " ").slice(0, 300)}` : "";
}
