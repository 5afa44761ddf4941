import { randomUUID } from "node:crypto";
import { afterAll, beforeAll, describe, expect, test, vi } from "vitest";
import { localKeys } from "../../../scripts/local/keys.ts";
import { createTestDatabase, type TestDatabase } from "../../support/database.ts";
import { type Client, Clients } from "./clients.ts";
import { functions, namedBy, tables } from "./expectations.ts";
import { subscribe } from "./subscribers.ts";

// The same promises as in matrix.test.ts and rows.test.ts, kept through the Data API with keys and with tokens that
// Auth gave out. No port is opened: requests go straight to the API's handlers.

let database: TestDatabase;
let clients: Clients;
let owner: Client;
let ownerId: string;
let newcomer: Client;
beforeAll(async () => {
  // The API tells its terminal of every refusal, and here are hundreds.
  vi.spyOn(console, "error").mockImplementation(() => {});
  database = await createTestDatabase();
  clients = await Clients.over(database);
  const [ada, bob, stranger] = [
    await clients.signUp("ada"),
    await clients.signUp("bob"),
    await clients.signUp("new"),
  ];
  owner = ada.client;
  ownerId = ada.userId;
  newcomer = stranger.client;
  await subscribe(database, "ada", ada.userId);
  await subscribe(database, "bob", bob.userId);
});
afterAll(async () => {
  await clients?.close();
  await database.drop();
  vi.restoreAllMocks();
});

const nameOf = (object: string) => object.replace(/^billing\.(\w+).*$/, "$1");
const relation = (client: Client, table: string) => client.from(nameOf(table));

describe.each(Object.entries(tables))("%s (%s)", (table, audience) => {
  test("is read by whom it is meant for, and by nobody else", async () => {
    const anon = await relation(clients.connect(localKeys.publishable), table).select("*").limit(1);
    expect(anon.error?.code).toBe("42501");
    expect(anon.status).toBe(401);

    const signedIn = await relation(owner, table).select("*");
    const service = await relation(clients.connect(localKeys.secret), table).select("*");
    expect(service.error).toBeNull();
    if (audience === "owner" || audience === "version") {
      expect(signedIn.error).toBeNull();
      expect(signedIn.data?.length).toBeGreaterThan(0);
      for (const row of signedIn.data as Record<string, string>[]) {
        if (audience === "version") expect(row.owner_id).toBe(ownerId);
        else expect(row[namedBy[table] ?? "id"]).toMatch(/_ada$/);
      }
      expect((await relation(newcomer, table).select("*")).data).toEqual([]);
      expect(service.data?.length).toBeGreaterThan(signedIn.data?.length ?? 0);
    } else {
      expect(signedIn.error?.code).toBe("42501");
      expect(signedIn.status).toBe(403);
    }
  });

  test("is written by nobody, with whatever key", async () => {
    const [text] = await database.sql`
      select attname as column, atttypid::regtype::text as type from pg_attribute
      where attrelid = ${table}::regclass and atttypid in ('text'::regtype, 'uuid'::regtype, 'timestamptz'::regtype)
        and attnum > 0
      order by array_position(array['text', 'uuid', 'timestamptz']::regtype[]::oid[], atttypid), attnum limit 1
    `;
    const column: string = text?.column;
    const planted =
      text?.type === "uuid" ? randomUUID() : text?.type === "text" ? "planted" : "2026-01-01T00:00:00Z";
    for (const client of [clients.connect(localKeys.publishable), owner, clients.connect(localKeys.secret)]) {
      const attempts = [
        await relation(client, table).insert({ [column]: planted } as never),
        await relation(client, table)
          .update({ [column]: planted } as never)
          .neq(column, planted),
        await relation(client, table).delete().neq(column, planted),
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
    const [anon, service] = [clients.connect(localKeys.publishable), clients.connect(localKeys.secret)];
    const called: Partial<Record<typeof audience, Client[]>> = {
      nobody: [],
      service: [service],
      user: [owner],
    };
    const allowed = called[audience] ?? [owner, service];
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
