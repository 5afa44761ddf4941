import { afterAll, beforeAll, describe, expect, test, vi } from "vitest";
import { localKeys } from "../../../scripts/local/keys.ts";
import { createTestDatabase, type TestDatabase } from "../../support/database.ts";
import { type Client, Clients } from "./clients.ts";
import { namedBy, readByMembers, tables } from "./expectations.ts";
import { subscribe } from "./subscribers.ts";
import { join, payByTeam } from "./teams.ts";

// Who reads what where teams pay: the tables come from the catalog's expectations, the callers are those of an
// application with two teams. In SQL, and through the Data API with tokens that Auth gave out.

const owned = Object.keys(tables).filter((name) => tables[name] === "owner");
const CALLERS = ["stranger", "member", "manager", "rival", "both"] as const;
type Caller = (typeof CALLERS)[number];

/** The teams whose rows each caller reads in a table for members, and in one for managers. */
const reads: Record<Caller, { asMember: string[]; asManager: string[] }> = {
  stranger: { asMember: [], asManager: [] },
  member: { asMember: ["red"], asManager: [] },
  manager: { asMember: ["red"], asManager: ["red"] },
  rival: { asMember: ["blue"], asManager: ["blue"] },
  both: { asMember: ["blue", "red"], asManager: ["blue"] },
};

let database: TestDatabase;
let clients: Clients;
const teams: Record<string, string> = {};
const users = {} as Record<Caller, { client: Client; userId: string }>;
beforeAll(async () => {
  // The API tells its terminal of every refusal.
  vi.spyOn(console, "error").mockImplementation(() => {});
  database = await createTestDatabase();
  clients = await Clients.over(database);
  await payByTeam(database);
  for (const team of ["red", "blue"]) {
    teams[team] = await database.signUp();
    await subscribe(database, team, teams[team]);
  }
  for (const caller of CALLERS) users[caller] = await clients.signUp(caller);
  const { red = "", blue = "" } = teams;
  await join(database, red, users.member.userId, "member");
  await join(database, red, users.manager.userId, "admin");
  await join(database, blue, users.rival.userId, "owner");
  await join(database, red, users.both.userId, "member");
  await join(database, blue, users.both.userId, "admin");
  // A customer of the member's own: where teams pay, users do not.
  await database.sql`insert into billing.customers (id, owner_id) values ('cus_own', ${users.member.userId})`;
  await database.sql`
    insert into billing.invoices
      (id, customer, subscription, status, collection_method, currency, amount_due, amount_remaining, attempt_count,
       first_payment_failed_at, hosted_invoice_url, number)
    select 'in_due_' || t, 'cus_' || t, 'sub_' || t, 'open', 'charge_automatically', 'eur', 900, 900, 1,
      now() - interval '2 days', 'https://invoice.stripe.com/i/' || t, 'EX-' || t
    from unnest(array['red', 'blue']) as t`;
}, 60_000);
afterAll(async () => {
  await clients?.close();
  await database.drop();
  vi.restoreAllMocks();
});

const teamsIn = (table: string, rows: Record<string, unknown>[]) =>
  [...new Set(rows.map((row) => String(row[namedBy[table] ?? "id"]).replace(/^.*_/, "")))].sort();
const relation = (client: Client, table: string) => client.from(table.replace("billing.", ""));
const expected = (caller: Caller, table: string) =>
  readByMembers.includes(table) ? reads[caller].asMember : reads[caller].asManager;

test("the tables for members are some of those that users read", () => {
  expect(owned).toEqual(expect.arrayContaining(readByMembers));
});

describe.each(CALLERS)("a %s", (caller) => {
  test.each(owned)("reads of %s the rows of the teams meant, in SQL", async (table) => {
    const { userId } = users[caller];
    const rows = await database.asUser(userId, (sql) => sql`select * from ${sql(table)}`);
    expect(teamsIn(table, rows)).toEqual(expected(caller, table));
    const [counted] = await database.asUser(
      userId,
      (sql) => sql`select count(*)::int as rows from ${sql(table)}`,
    );
    expect(counted).toEqual({ rows: rows.length });
  });

  test.each(owned)("reads of %s the same through the Data API, whatever is asked", async (table) => {
    const { client } = users[caller];
    const { data, error } = await relation(client, table).select("*");
    expect(error).toBeNull();
    expect(teamsIn(table, data as Record<string, unknown>[])).toEqual(expected(caller, table));
    const { count } = await relation(client, table).select("*", { count: "exact", head: true });
    expect(count).toBe(data?.length);
    for (const team of ["red", "blue"]) {
      const named = await relation(client, table)
        .select("*")
        .like(namedBy[table] ?? "id", `%_${team}`);
      expect(named.data?.length ?? 0).toBe(
        (data as Record<string, unknown>[]).filter((row) => teamsIn(table, [row])[0] === team).length,
      );
      if (!expected(caller, table).includes(team)) expect(named.data).toEqual([]);
    }
  });

  test("embeds no table in another", async () => {
    for (const outer of owned)
      for (const inner of owned) {
        const asked = `*, ${inner.replace("billing.", "")}(*)`;
        expect((await relation(users[caller].client, outer).select(asked)).error?.code).toMatch(/^PGRST20/);
      }
  });

  test("asks about the own teams alone", async () => {
    const { client } = users[caller];
    const { asMember, asManager } = reads[caller];
    for (const team of ["red", "blue"]) {
      const isMember = asMember.includes(team);
      expect((await client.rpc("has_feature", { feature: `feature_${team}` })).data).toBe(isMember);
      const named = { owner_id: teams[team] ?? "" };
      const usage = await client.rpc("my_usage", { metric: "api_calls", ...named });
      const balance = await client.rpc("my_credit_balance", { kind: "images", ...named });
      if (isMember) {
        expect(usage.data).toMatchObject({ usage_limit: 100, used: 0 });
        expect(balance.data).toBe(10);
      } else {
        expect(usage.error?.code).toBe("DU072");
        expect(balance.error?.code).toBe("DU072");
      }
    }
    const { data: mine } = await client.rpc("my_owners").order("can_manage");
    const isManaged = (team: string) => asManager.includes(team);
    expect(mine).toEqual(
      asMember
        .toSorted((a, b) => Number(isManaged(a)) - Number(isManaged(b)))
        .map((team) => ({ owner_id: teams[team], can_manage: isManaged(team) })),
    );
    const version = (await client.rpc("entitlements_version")).data;
    if (asMember.length > 0) expect(version).toBeGreaterThan(0);
    else expect(version).toBe(0);
  });

  test("is told that something is overdue, and only as a manager what and where to pay", async () => {
    const { data } = await users[caller].client.rpc("my_billing_status");
    const rows = (data ?? []) as { owner_id: string; overdue_since: string | null }[];
    const { asMember, asManager } = reads[caller];
    expect(rows).toHaveLength(asMember.length);
    for (const team of asMember) {
      const row = rows.find(({ owner_id }) => owner_id === teams[team]);
      expect(row).toMatchObject({ subscription: `sub_${team}`, has_access: true });
      expect(row?.overdue_since).not.toBeNull();
      const manager = asManager.includes(team);
      expect(row).toMatchObject({
        can_manage: manager,
        amount_due: manager ? 900 : null,
        currency: manager ? "eur" : null,
        invoice: manager ? `in_due_${team}` : null,
        invoice_number: manager ? `EX-${team}` : null,
        hosted_invoice_url: manager ? `https://invoice.stripe.com/i/${team}` : null,
        invoice_count: manager ? 1 : null,
        needs_confirmation: manager ? false : null,
        next_payment_attempt: null,
      });
    }
  });
});

test("service_role reads everything, and asks about any owner or user", async () => {
  const service = clients.connect(localKeys.secret);
  for (const table of owned) {
    const { data } = await relation(service, table).select("*");
    expect(teamsIn(table, data as Record<string, unknown>[])).toEqual(
      expect.arrayContaining(["blue", "red"]),
    );
  }
  for (const caller of CALLERS)
    for (const team of ["red", "blue"]) {
      const { data } = await service.rpc("user_has_feature", {
        user_id: users[caller].userId,
        feature: `feature_${team}`,
      });
      expect(data).toBe(reads[caller].asMember.includes(team));
    }
  const { data } = await service.rpc("current_usage", { owner_id: teams.red ?? "", metric: "api_calls" });
  expect(data).toMatchObject({ usage_limit: 100 });
});

test("of several owners one has to be named, and the error lists them", async () => {
  const { both, member, stranger } = users;
  for (const name of ["current_usage", "my_usage"] as const) {
    const { error } = await both.client.rpc(name, { metric: "api_calls" });
    expect(error).toMatchObject({ code: "DU071", hint: expect.stringContaining("owner_id") });
    expect(JSON.parse(error?.details ?? "{}").owners.sort()).toEqual(Object.values(teams).sort());
    expect((await member.client.rpc(name, { metric: "api_calls" })).data).toMatchObject({ usage_limit: 100 });
    expect((await stranger.client.rpc(name, { metric: "api_calls" })).data).toMatchObject({ usage_limit: 0 });
  }
  for (const name of ["credit_balance", "my_credit_balance"] as const) {
    expect((await both.client.rpc(name, { kind: "images" })).error?.code).toBe("DU071");
    expect((await member.client.rpc(name, { kind: "images" })).data).toBe(10);
    expect((await stranger.client.rpc(name, { kind: "images" })).data).toBe(0);
  }
});
