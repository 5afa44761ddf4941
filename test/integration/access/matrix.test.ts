import { randomUUID } from "node:crypto";
import type { TransactionSql } from "postgres";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { createTestDatabase, type TestDatabase } from "../../support/database.ts";
import { type Audience, functions, tables } from "./expectations.ts";

// The lists of what there is come from the catalog, what is expected of it from expectations.ts: a new table, view
// or function without an expectation fails here.

type Role = "anon" | "authenticated" | "service_role";

const roles: Role[] = ["anon", "authenticated", "service_role"];

const readers: Record<Audience, Role[]> = {
  owner: ["authenticated", "service_role"],
  version: ["authenticated", "service_role"],
  user: ["authenticated"],
  service: ["service_role"],
  nobody: [],
};

let database: TestDatabase;
beforeAll(async () => {
  database = await createTestDatabase();
});
afterAll(() => database.drop());

class Undo extends Error {}

/** Runs a statement as a caller of the Data API and undoes it. Returns the SQLSTATE it ended with, if any. */
async function attempt(role: Role, statement: string): Promise<string | undefined> {
  const work = async (sql: TransactionSql): Promise<never> => {
    await sql.unsafe(statement);
    throw new Undo();
  };
  try {
    if (role === "anon") await database.asAnon(work);
    else if (role === "authenticated") await database.asUser(randomUUID(), work);
    else await database.asService(work);
  } catch (error) {
    if (error instanceof Undo) return undefined;
    return (error as { code?: string }).code;
  }
  return undefined;
}

const refused = "42501";
/** What a view that gathers answers to whoever would write to it, whatever their privileges. */
const impossible = ["55000", "42809"];

async function objectsOf(query: string): Promise<string[]> {
  const rows = await database.sql.unsafe(query);
  return rows.map((row) => row.name as string);
}

const allTables = (kinds: string) =>
  objectsOf(`
    select format('%I.%I', relnamespace::regnamespace, relname) as name
    from pg_class
    where relnamespace in ('billing'::regnamespace, 'billing_private'::regnamespace) and relkind in (${kinds})
    order by 1
  `);

const allFunctions = () =>
  objectsOf(`
    select format('%I.%I(%s)', pronamespace::regnamespace, proname, oidvectortypes(proargtypes)) as name
    from pg_proc
    where pronamespace in ('billing'::regnamespace, 'billing_private'::regnamespace)
    order by 1
  `);

function audienceOf(name: string, expectations: Record<string, Audience>): Audience {
  if (name.startsWith("billing_private.")) return "nobody";
  const audience = expectations[name];
  if (!audience) throw new Error(`${name} has no expectation: say in expectations.ts who may use it`);
  return audience;
}

test("every table, view and function has an expectation, and every expectation something it is about", async () => {
  const exposed = (names: string[]) => names.filter((name) => name.startsWith("billing."));
  expect(exposed(await allTables("'r', 'p', 'v', 'm', 'f'"))).toEqual(Object.keys(tables).sort());
  expect(exposed(await allFunctions()).sort()).toEqual(Object.keys(functions).sort());
});

describe.each(roles)("%s", (role) => {
  test("reads the tables and views meant for it, and no others", async () => {
    for (const name of await allTables("'r', 'p', 'v', 'm', 'f'")) {
      const expected = readers[audienceOf(name, tables)].includes(role) ? undefined : refused;
      expect(await attempt(role, `select * from ${name} limit 1`), `select from ${name}`).toBe(expected);
    }
  });

  test("writes to none", async () => {
    const views = await allTables("'v', 'm'");
    for (const name of await allTables("'r', 'p', 'v', 'm', 'f'")) {
      const refusals = views.includes(name) ? [refused, ...impossible] : [refused];
      const [column] = await objectsOf(`
        select format('%I', attname) as name from pg_attribute
        where attrelid = '${name}'::regclass and attnum > 0 and not attisdropped
        order by attidentity, attgenerated, attnum limit 1
      `);
      for (const statement of [
        `insert into ${name} default values`,
        `insert into ${name} (${column}) select ${column} from ${name} on conflict do nothing`,
        `update ${name} set ${column} = ${column} where true`,
        `delete from ${name} where true`,
        `truncate ${name} cascade`,
        `lock table ${name} in exclusive mode`,
      ]) {
        expect(refusals, statement).toContain(await attempt(role, statement));
      }
    }
  });

  test("draws no number from a sequence", async () => {
    for (const name of await allTables("'S'")) {
      expect(await attempt(role, `select nextval('${name}')`), name).toBe(refused);
      expect(await attempt(role, `select setval('${name}', 1)`), name).toBe(refused);
      expect(await attempt(role, `select last_value from ${name}`), name).toBe(refused);
    }
  });

  test("calls the functions meant for it, and no others", async () => {
    for (const name of await allFunctions()) {
      const [, signature = "", types = ""] = /^(.*?)\((.*)\)$/.exec(name) ?? [];
      const args = types === "" ? [] : types.split(", ").map((type) => `null::${type}`);
      const outcome = await attempt(role, `select ${signature}(${args.join(", ")})`);
      if (readers[audienceOf(name, functions)].includes(role)) {
        // Called with nothing but nulls it may well refuse them, but not the caller.
        expect(outcome, name).not.toBe(refused);
      } else {
        expect(outcome, name).toBe(refused);
      }
    }
  });

  test("creates nothing in our schemas", async () => {
    for (const schema of ["billing", "billing_private"]) {
      expect(await attempt(role, `create table ${schema}.planted (id int)`)).toBe(refused);
      expect(
        await attempt(role, `create function ${schema}.planted() returns int language sql as 'select 1'`),
      ).toBe(refused);
    }
  });
});

test("no role may write to a single column of any table or view", async () => {
  const writable = await database.sql`
    select r.role, t.oid::regclass::text as relation, a.attname as column, p.privilege
    from unnest(${roles}::text[]) as r (role)
    cross join pg_class as t
    cross join unnest(array['insert', 'update', 'references']) as p (privilege)
    join pg_attribute as a on a.attrelid = t.oid and a.attnum > 0 and not a.attisdropped
    where t.relnamespace in ('billing'::regnamespace, 'billing_private'::regnamespace)
      and t.relkind in ('r', 'p', 'v', 'm', 'f')
      and has_column_privilege(r.role, t.oid, a.attnum, p.privilege)
  `;
  expect(writable).toEqual([]);
});

test("the tables and functions that are in the way of nobody are still reached by their owner", async () => {
  for (const name of await allTables("'r', 'p', 'v', 'm'")) {
    await expect(database.sql.unsafe(`select * from ${name} limit 1`), name).resolves.toBeDefined();
  }
});
