import { createHmac } from "node:crypto";
import { createClient } from "@supabase/supabase-js";
import ws from "ws";
import { type Api, openApi } from "../../../scripts/local/api/data-api.ts";
import { localKeys } from "../../../scripts/local/keys.ts";
import type { TestDatabase } from "../../support/database.ts";

/** A client of the Data API, for schema billing. */
export type Client = ReturnType<Clients["connect"]>;

/** Clients of a Data API over a test's database. No port is opened: requests go straight to the API's handlers. */
export class Clients {
  readonly #api: Api;

  private constructor(api: Api) {
    this.#api = api;
  }

  static async over(database: TestDatabase): Promise<Clients> {
    return new Clients(
      await openApi({
        urlFor: (role) => database.urlFor(role),
        schemas: ["public", "billing"],
        maxRows: 1000,
        siteUrl: "http://127.0.0.1:3000",
      }),
    );
  }

  /** Answers requests to whichever address, as the API would. */
  readonly fetch: typeof fetch = async (input, init) => {
    const request = new Request(input, init);
    const isAuth = new URL(request.url).pathname.startsWith("/auth/v1");
    return await (isAuth ? this.#api.auth : this.#api.rest)(request, "127.0.0.1");
  };

  /** @param token sent as the caller's access token, in place of the one that Auth would give out */
  connect(key: string, token?: string, schema = "billing") {
    return createClient("http://api.test", key, {
      db: { schema: schema as "billing" },
      ...(token === undefined ? {} : { accessToken: async () => token }),
      auth: { persistSession: false, autoRefreshToken: false },
      realtime: { transport: ws as never },
      global: {
        fetch: this.fetch,
      },
    });
  }

  /** A client that Auth has just signed up. */
  async signUp(name: string): Promise<{ client: Client; userId: string; token: string }> {
    const client = this.connect(localKeys.publishable);
    const { data, error } = await client.auth.signUp({
      email: `${name}@example.com`,
      password: "correct horse battery",
    });
    if (error) throw error;
    if (!data.session || !data.user) throw new Error("Auth gave no token");
    return { client, userId: data.user.id, token: data.session.access_token };
  }

  async close(): Promise<void> {
    await this.#api.close();
  }
}

const encode = (part: object) => Buffer.from(JSON.stringify(part)).toString("base64url");

/** A JSON Web Token over claims, signed with HS256 and a secret, or not at all. */
export function makeToken(claims: object, secret: string | undefined): string {
  const body = `${encode({ alg: secret === undefined ? "none" : "HS256", typ: "JWT" })}.${encode(claims)}`;
  const signature = secret === undefined ? "" : createHmac("sha256", secret).update(body).digest("base64url");
  return `${body}.${signature}`;
}

/** A token with other claims under its old signature. */
export function tamper(token: string, changes: object): string {
  const [head, claims = "", signature] = token.split(".");
  const told = JSON.parse(Buffer.from(claims, "base64url").toString()) as object;
  return [head, encode({ ...told, ...changes }), signature].join(".");
}
