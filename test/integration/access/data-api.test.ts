import { createClient } from "@supabase/supabase-js";
import { afterAll, beforeAll, describe, expect, test, vi } from "vitest";
import ws from "ws";
import { type Api, openApi } from "../../../scripts/local/api/data-api.ts";
import { localKeys } from "../../../scripts/local/keys.ts";
import { createTestDatabase, type TestDatabase } from "../../support/database.ts";
import { functions, namedBy, tables } from "./expectations.ts";
import { subscribe } from "./subscribers.ts";

// The same promises as in matrix.test.ts and rows.test.ts, kept through the Data API with keys and with tokens that
// Auth gave out. No port is opened: requests go straight to the API's handlers.

type Client = ReturnType<typeof connect>;

let database: TestDatabase;
let api: Api;
let owner: Client;
let other: Client;
let newcomer: Client;
beforeAll(async () => {
  // The API tells its terminal of every refusal, and here are hundreds.
  vi.spyOn(console, "error").mockImplementation(() => {});
  database = await createTestDatabase();
  api = await openApi({
    urlFor: (role) => database.urlFor(role),
    schemas: ["public", "billing"],
    maxRows: 1000,
    siteUrl: "http://127.0.0.1:3000",
  });
  owner = await signUp("ada");
  other = await signUp("bob");
  newcomer = await signUp("new");
  await subscribe(database, "ada", await userId(owner));
  await subscribe(database, "bob", await userId(other));
});
afterAll(async () => {
  await api?.close();
  await database.drop();
  vi.restoreAllMocks();
});

function connect(key: string) {
  return createClient("http://api.test", key, {
    db: { schema: "billing" },
    auth: { persistSession: false, autoRefreshToken: false },
    realtime: { transport: ws as never },
    global: {
      fetch: (input, init) => {
        const request = new Request(input, init);
        const handler = new URL(request.url).pathname.startsWith("/auth/v1") ? api.auth : api.rest;
        return handler(request, "127.0.0.1");
      },
    },
  });
}

async function signUp(name: string): Promise<Client> {
  const client = connect(localKeys.publishable);
  const { data, error } = await client.auth.signUp({
    email: `${name}@example.com`,
    password: "correct horse battery",
  });
  if (error) throw error;
  if (!data.session) throw new Error("Auth gave no token");
  return client;
}

async function userId(client: Client): Promise<string> {
  const { data, error } = await client.auth.getUser();
  if (error) throw error;
  return data.user.id;
}

const nameOf = (object: string) => object.replace(/^billing\.(\w+).*$/, "$1");
const relation = (client: Client, table: string) => client.from(nameOf(table));

describe.each(Object.entries(tables))("%s (%s)", (table, audience) => {
  test("is read by whom it is meant for, and by nobody else", async () => {
    const anon = await relation(connect(localKeys.publishable), table).select("*").limit(1);
    expect(anon.error?.code).toBe("42501");
    expect(anon.status).toBe(401);

    const signedIn = await relation(owner, table).select("*");
    const service = await relation(connect(localKeys.secret), table).select("*");
    expect(service.error).toBeNull();
    if (audience === "owner") {
      expect(signedIn.error).toBeNull();
      expect(signedIn.data?.length).toBeGreaterThan(0);
      for (const row of signedIn.data as Record<string, string>[])
        expect(row[namedBy[table] ?? "id"]).toMatch(/_ada$/);
      expect((await relation(newcomer, table).select("*")).data).toEqual([]);
      expect(service.data?.length).toBeGreaterThan(signedIn.data?.length ?? 0);
    } else {
      expect(signedIn.error?.code).toBe("42501");
      expect(signedIn.status).toBe(403);
    }
  });

  test("is written by nobody, with whatever key", async () => {
    const [text] = await database.sql`
      select attname as column from pg_attribute
      where attrelid = ${table}::regclass and atttypid = 'text'::regtype and attnum > 0 order by attnum limit 1
    `;
    const column: string = text?.column;
    for (const client of [connect(localKeys.publishable), owner, connect(localKeys.secret)]) {
      const attempts = [
        await relation(client, table).insert({ [column]: "planted" }),
        await relation(client, table)
          .update({ [column]: "planted" })
          .neq(column, "nothing"),
        await relation(client, table).delete().neq(column, "nothing"),
      ];
      // 55000: a view that gathers cannot be written to by anybody.
      for (const { error } of attempts) expect(["42501", "55000"]).toContain(error?.code);
    }
  });
});

test.each(Object.entries(functions))(
  "%s is called by whom it is meant for (%s)",
  async (signature, audience) => {
    const [name, args] = [nameOf(signature), await argumentsOf(signature)];
    const [anon, service] = [connect(localKeys.publishable), connect(localKeys.secret)];
    const allowed = audience === "service" ? [service] : audience === "user" ? [owner] : [owner, service];
    const refused = [anon, owner, service].filter((client) => !allowed.includes(client));
    for (const client of refused) {
      const { error, status } = await client.rpc(name, args);
      expect(error?.code).toBe("42501");
      expect([401, 403]).toContain(status);
    }
    // Called with nothing but nulls it may well refuse them, but not the caller.
    for (const client of allowed) {
      const { error } = await client.rpc(name, args);
      expect(["42501", "PGRST202"]).not.toContain(error?.code);
    }
  },
);

/** A null for every argument that has no default: enough for the API to find the function by their names. */
async function argumentsOf(signature: string): Promise<Record<string, null>> {
  const [found] = await database.sql<{ names: string[] | null }[]>`
    select proargnames[1 : pronargs - pronargdefaults] as names from pg_proc
    where oid = ${signature}::regprocedure
  `;
  return Object.fromEntries((found?.names ?? []).map((name) => [name, null]));
}
