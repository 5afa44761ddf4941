import { afterAll, beforeAll, describe, expect, test, vi } from "vitest";
import { localKeys } from "../../../scripts/local/keys.ts";
import { createTestDatabase, type TestDatabase } from "../../support/database.ts";
import { type Client, Clients, makeToken, tamper } from "./clients.ts";
import { functions, tables } from "./expectations.ts";
import { subscribe } from "./subscribers.ts";

// Tokens that are not to be trusted, at every table, view and function there is: matrix.test.ts holds the lists
// against the catalog.

let database: TestDatabase;
let clients: Clients;
let adaId: string;
let bobId: string;
let adaToken: string;
/** A column of each table, of text where it has one, to try to write to. */
let columns: Map<string, { column: string; type: string }>;
/** What is written to columns of other types, and what stands for no row there. */
const PLANTED: Record<string, () => [string, string]> = {
  uuid: () => [adaId, bobId],
  "timestamp with time zone": () => ["2026-01-01T00:00:00Z", "2026-01-02T00:00:00Z"],
};
beforeAll(async () => {
  // The API tells its terminal of every refusal, and here are hundreds.
  vi.spyOn(console, "error").mockImplementation(() => {});
  database = await createTestDatabase();
  clients = await Clients.over(database);
  const [ada, bob] = [await clients.signUp("ada"), await clients.signUp("bob")];
  adaId = ada.userId;
  bobId = bob.userId;
  adaToken = ada.token;
  await subscribe(database, "ada", adaId);
  await subscribe(database, "bob", bobId);
  const found = await database.sql<{ table: string; column: string; type: string }[]>`
    select distinct on (attrelid) relname as table, attname as column, atttypid::regtype::text as type
    from pg_attribute join pg_class as c on c.oid = attrelid
    where c.relnamespace = 'billing'::regnamespace and attnum > 0
      and atttypid in ('text'::regtype, 'uuid'::regtype, 'timestamptz'::regtype)
    order by attrelid, array_position(array['text', 'uuid', 'timestamptz']::regtype[]::oid[], atttypid), attnum
  `;
  columns = new Map(found.map(({ table, column, type }) => [table, { column, type }]));
});
afterAll(async () => {
  await clients?.close();
  await database.drop();
  vi.restoreAllMocks();
});

const names = (objects: object) =>
  Object.keys(objects).map((name) => name.replace(/^billing\.(\w+).*$/, "$1"));
const soon = () => Math.floor(Date.now() / 1000) + 3600;
const claims = (changes: object = {}) => ({
  sub: adaId,
  role: "authenticated",
  aud: "authenticated",
  iat: soon() - 3600,
  exp: soon(),
  ...changes,
});

const untrusted: [what: string, token: () => string][] = [
  ["expired", () => makeToken(claims({ iat: soon() - 9000, exp: soon() - 3720 }), localKeys.jwtSecret)],
  ["forged", () => makeToken(claims(), "a secret of somebody else, of at least 32 characters")],
  [
    "forged to be service_role",
    () => makeToken(claims({ role: "service_role" }), "not the secret of this project at all"),
  ],
  ["unsigned", () => makeToken(claims(), undefined)],
  ["changed to another user", () => tamper(adaToken, { sub: bobId })],
  ["changed to service_role", () => tamper(adaToken, { role: "service_role" })],
  ["no token at all", () => "x"],
];

/** What a client gets from every table and function: the answers that are not a refusal. */
async function allowed(client: Client, status: number): Promise<string[]> {
  const open: string[] = [];
  for (const table of names(tables)) {
    const { column, type } = columns.get(table) ?? { column: "", type: "text" };
    const [planted, other] = PLANTED[type]?.() ?? ["planted", "nothing"];
    const answers = {
      select: await client.from(table).select("*"),
      insert: await client.from(table).insert({ [column]: planted } as never),
      update: await client
        .from(table)
        .update({ [column]: planted } as never)
        .neq(column, other),
      delete: await client.from(table).delete().neq(column, other),
    };
    // 55000: a view that gathers cannot be written to by anybody.
    for (const [verb, { status: given, data, error }] of Object.entries(answers))
      if (data || (given !== status && error?.code !== "55000")) open.push(`${verb} ${table}: ${given}`);
  }
  for (const name of new Set(names(functions))) {
    const answer = await client.rpc(name, {});
    // A function with arguments is not found by none of them, which tells nothing of it and calls nothing.
    if (![status, 404].includes(answer.status) || answer.data) open.push(`${name}: ${answer.status}`);
  }
  return open;
}

describe("a token that is", () => {
  test.each(untrusted)("%s opens nothing", async (_what, token) => {
    expect(await allowed(clients.connect(localKeys.publishable, token()), 401)).toEqual([]);
  });
});

test("the same claims, rightly signed, do open the own rows: it is the token that is refused", async () => {
  const client = clients.connect(localKeys.publishable, makeToken(claims(), localKeys.jwtSecret));
  expect((await client.from("customers").select("id")).data).toEqual([{ id: "cus_ada" }]);
});

test("the publishable key alone opens nothing", async () => {
  expect(await allowed(clients.connect(localKeys.publishable), 401)).toEqual([]);
});

test("a key that is none opens nothing", async () => {
  expect(await allowed(clients.connect("sb_secret_guessed"), 401)).toEqual([]);
});

test("the internals are not there for any key", async () => {
  for (const key of [localKeys.publishable, localKeys.secret])
    for (const name of ["customer_owner_hints", "payment_sources", "personal_data", "object_versions"]) {
      const { error, status } = await clients
        .connect(key, undefined, "billing_private")
        .from(name)
        .select("*");
      expect(status).toBe(406);
      expect(error?.code).toBe("PGRST106");
    }
});
