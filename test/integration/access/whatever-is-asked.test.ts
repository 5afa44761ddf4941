import { randomUUID } from "node:crypto";
import { afterAll, beforeAll, describe, expect, test, vi } from "vitest";
import { localKeys } from "../../../scripts/local/keys.ts";
import type { Client } from "./clients.ts";
import { type Audience, functions, namedBy, tables } from "./expectations.ts";
import {
  CALLERS,
  type Caller,
  expectedTeams,
  openTwoTeams,
  owned,
  reads,
  TEAMS,
  type TwoTeams,
  teamsIn,
} from "./two-teams.ts";

// Nobody reads another owner's row, whatever is asked: by filters and order on any column, counts, embedding, views and
// functions, through the Data API with tokens that Auth gave out. What there is to ask comes from the catalog.

/** A test here asks up to two thousand things (milliseconds). */
vi.setConfig({ testTimeout: 240_000 });

let world: TwoTeams;
/** Columns of every table and view of schema billing. */
const columnsOf = new Map<string, { name: string; type: string }[]>();
const callers = {} as Record<Caller | "anon", Client>;
beforeAll(async () => {
  // The API tells its terminal of every refusal.
  vi.spyOn(console, "error").mockImplementation(() => {});
  world = await openTwoTeams();
  callers.anon = world.clients.connect(localKeys.publishable);
  for (const caller of CALLERS) callers[caller] = world.users[caller].client;
  const columns = await world.database.sql<{ table: string; name: string; type: string }[]>`
    select format('billing.%I', c.relname) as table, a.attname as name, format_type(a.atttypid, null) as type
    from pg_class as c
    join pg_attribute as a on a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped
    where c.relnamespace = 'billing'::regnamespace and c.relkind in ('r', 'p', 'v', 'm', 'f')
    order by c.relname, a.attnum`;
  for (const { table, ...column } of columns) columnsOf.set(table, [...(columnsOf.get(table) ?? []), column]);
}, 60_000);
afterAll(async () => {
  await world?.close();
  vi.restoreAllMocks();
});

const nameOf = (object: string) => object.replace(/^billing\.(\w+).*$/, "$1");
const relation = (client: Client, table: string) => client.from(nameOf(table));
interface Answer {
  data: unknown;
  count: number | null;
  error: { code?: string } | null;
}
/** What is answered to who may not ask: the privilege is missing, or there is no such thing to be found. */
const REFUSED = /^(42501|PGRST20\d)$/;

function expectNothing({ data, count, error }: Answer, what: string): void {
  expect(error?.code ?? "answered", what).toMatch(REFUSED);
  expect({ data, count }, what).toEqual({ data: null, count: null });
}

/** Ways of asking about one column, by filters, order and the column alone: for all rows, and for two parts of them. */
function askings(client: Client, table: string, { name, type }: { name: string; type: string }) {
  const named = namedBy[table] ?? "id";
  const columns = tables[table] === "owner" && name !== named ? `${name},${named}` : name;
  const all = () => relation(client, table).select(columns, { count: "exact" });
  return {
    all: all().or(`${name}.is.null,${name}.not.is.null`).order(name, { ascending: true }),
    null: all().is(name, null),
    "not null": all().not(name, "is", null).order(name, { ascending: false, nullsFirst: true }),
    ...(type === "text" ? { like: all().like(name, "%"), "not like": all().not(name, "like", "_%") } : {}),
  };
}

test("every table and view is in what is walked here", () => {
  expect([...columnsOf.keys()].sort()).toEqual(Object.keys(tables).sort());
});

describe.each([...CALLERS, "anon"] as const)("a %s", (caller) => {
  test("gets nothing from a table or view that is not for them, by whatever column", async () => {
    for (const [table, columns] of columnsOf) {
      if (caller !== "anon" && ["owner", "version"].includes(tables[table] ?? "")) continue;
      // What a role may not read, it may read in no column: one role of signed-in users and anon ask for them all.
      for (const column of caller === "manager" || caller === "anon" ? columns : columns.slice(0, 1)) {
        expectNothing(
          await relation(callers[caller], table).select(column.name),
          `${table}.${column.name} selected`,
        );
        // One column of each is asked in every way: a privilege on it is what all of them take.
        if (column !== columns[0]) continue;
        for (const [way, asked] of Object.entries(askings(callers[caller], table, column)))
          expectNothing(await asked, `${table}.${column.name}: ${way}`);
      }
      const counted = await relation(callers[caller], table).select("*", { count: "exact", head: true });
      expect({ count: counted.count, ok: counted.error === null }, `count of ${table}`).toEqual({
        count: null,
        ok: false,
      });
    }
  });

  test.skipIf(caller === "anon").each(owned)(
    "of %s gets the own teams' rows and their number, by whatever column",
    async (table) => {
      if (caller === "anon") return;
      const client = callers[caller];
      const teams = expectedTeams(caller, table);
      const whole = (await relation(client, table).select("*")).data as Record<string, unknown>[];
      expect(teamsIn(table, whole)).toEqual(teams);
      for (const column of columnsOf.get(table) ?? []) {
        const sizes: Record<string, number> = {};
        for (const [way, asked] of Object.entries(askings(client, table, column))) {
          const { data, count, error } = await asked;
          expect(error, `${column.name}: ${way}`).toBeNull();
          const rows = data as unknown as Record<string, unknown>[];
          expect(teams, `${column.name}: ${way}`).toEqual(expect.arrayContaining(teamsIn(table, rows)));
          expect(count, `${column.name}: ${way}`).toBe(rows.length);
          sizes[way] = rows.length;
        }
        const parts = (sizes.null ?? 0) + (sizes["not null"] ?? 0);
        expect({ all: sizes.all, parts }, column.name).toEqual({ all: whole.length, parts: whole.length });
      }
    },
  );

  test.skipIf(caller === "anon").each(owned)(
    "of %s finds no row of another team's by what it contains",
    async (table) => {
      if (caller === "anon") return;
      const others = TEAMS.filter((team) => !expectedTeams(caller, table).includes(team));
      for (const { name, type } of columnsOf.get(table) ?? []) {
        if (!["text", "uuid"].includes(type)) continue;
        const values = await world.database.sql<{ value: string; row: Record<string, unknown> }[]>`
          select t.${world.database.sql(name)}::text as value, to_jsonb(t) as row from ${world.database.sql(table)} as t
          where t.${world.database.sql(name)} is not null`;
        const theirs = values.filter(({ row }) => others.some((team) => teamsIn(table, [row])[0] === team));
        for (const value of new Set(theirs.map((row) => row.value))) {
          const { data, count } = await relation(callers[caller], table)
            .select("*", { count: "exact" })
            .eq(name, value);
          const found = teamsIn(table, data as Record<string, unknown>[]);
          expect(found.filter((team) => others.some((other) => other === team))).toEqual([]);
          expect(count).toBe(data?.length);
        }
      }
    },
  );

  test("embeds no table or view in another, in either direction", async () => {
    for (const outer of columnsOf.keys())
      for (const inner of columnsOf.keys()) {
        // Those that users read are asked with all others, and a few of the others with each other.
        const isOwned = owned.includes(outer) || owned.includes(inner);
        if (!isOwned || (caller !== "manager" && !(owned.includes(outer) && owned.includes(inner)))) continue;
        for (const how of owned.includes(outer) && owned.includes(inner) ? ["", "!inner"] : [""])
          expectNothing(
            await relation(callers[caller], outer).select(`*, ${nameOf(inner)}${how}(*)`, { count: "exact" }),
            `${outer} with ${inner}${how}`,
          );
      }
  });

  test("cannot name the schema that is not exposed", async () => {
    const token = caller === "anon" ? undefined : await tokenOf(caller);
    const client = world.clients.connect(localKeys.publishable, token, "billing_private");
    const { data, error } = await client.from("entitlement_versions").select("*");
    expect({ data, code: error?.code }).toEqual({ data: null, code: "PGRST106" });
  });
});

async function tokenOf(caller: Caller): Promise<string> {
  const { data } = await callers[caller].auth.getSession();
  if (!data.session) throw new Error(`${caller} has no session`);
  return data.session.access_token;
}

/** A function of schema billing, as the catalog has it. */
interface Callable {
  signature: string;
  names: string[];
  types: string[];
  optional: number;
}

const callables = () =>
  world.database.sql<Callable[]>`
    select
      format('billing.%I(%s)', p.proname, oidvectortypes(p.proargtypes)) as signature,
      coalesce(p.proargnames[1 : p.pronargs], '{}') as names,
      array(select format_type(t, null) from unnest(p.proargtypes) as t) as types,
      p.pronargdefaults::int as optional
    from pg_proc as p
    where p.pronamespace = 'billing'::regnamespace and p.prokind = 'f'
    order by 1`;

function audienceOf(signature: string): Audience {
  const audience = functions[signature];
  if (!audience) throw new Error(`${signature} has no expectation: say in expectations.ts who may use it`);
  return audience;
}

/** What is passed to a function about a team: by type, as ids and names of the team's. */
function argumentsAbout(team: string, id: string, { names, types, optional }: Callable) {
  const texts = ["feature", "cus", "sub", "in", "si", "pi"].map((prefix) => `${prefix}_${team}`);
  const filled = (text: string) =>
    Object.fromEntries(
      names.flatMap((name, place): [string, string | null][] => {
        const type = types[place];
        if (type === "uuid") return [[name, id]];
        if (type === "text") return [[name, text]];
        // Time and the like are left to their defaults.
        return place < names.length - optional ? [[name, null]] : [];
      }),
    );
  return types.includes("text") ? [...texts, "api_calls", "images"].map(filled) : [filled("")];
}

const ALLOWED: Record<Audience, boolean> = {
  owner: true,
  version: true,
  user: true,
  service: false,
  nobody: false,
};

describe("functions", () => {
  test("that users may call write nothing: they run where nothing can be written", async () => {
    const open = (await callables()).filter(({ signature }) => ALLOWED[audienceOf(signature)]);
    expect(open.length).toBeGreaterThan(5);
    const { red = "" } = world.teams;
    for (const { signature, types } of open) {
      const args = types.map((type) =>
        type === "uuid" ? `'${red}'` : type === "text" ? "'api_calls'" : "now()",
      );
      const call = `select ${signature.replace(/\(.*/, "")}(${args.join(", ")})`;
      await world.database.asUser(world.users.manager.userId, async (sql) => {
        await sql`set transaction read only`;
        await sql.unsafe(call);
      });
    }
  });

  test.each([...CALLERS, "anon"] as const)(
    "tell a %s of another team what they tell of one that does not exist",
    async (caller) => {
      const others = TEAMS.filter((team) => caller === "anon" || !reads[caller].asMember.includes(team));
      for (const callable of await callables()) {
        const isAllowed = caller !== "anon" && ALLOWED[audienceOf(callable.signature)];
        for (const team of others) {
          const [id, nobody] = [world.teams[team] ?? "", randomUUID()];
          const about = argumentsAbout(team, id, callable);
          const unknown = argumentsAbout("nowhere", nobody, callable);
          for (const [place, args] of about.entries()) {
            const answer = await callers[caller].rpc(nameOf(callable.signature), args);
            const what = `${callable.signature} of ${JSON.stringify(args)}`;
            if (!isAllowed) {
              expect(answer.error?.code ?? "answered", what).toMatch(REFUSED);
              continue;
            }
            const same = await callers[caller].rpc(nameOf(callable.signature), unknown[place] ?? {});
            expect(told(answer, id, team), what).toBe(told(same, nobody, "nowhere"));
          }
        }
      }
    },
  );
});

/** An answer as text, with what was asked about named alike. */
function told({ data, error }: Answer, id: string, team: string): string {
  const said = JSON.stringify({ data, error });
  return said.replaceAll(id, "<id>").replaceAll(`_${team}`, "_<team>");
}
