import { afterAll, beforeAll, describe, expect, test, vi } from "vitest";
import { localKeys } from "../../../scripts/local/keys.ts";
import type { TestDatabase } from "../../support/database.ts";
import type { Client, Clients } from "./clients.ts";
import { namedBy, readByMembers } from "./expectations.ts";
import {
  CALLERS,
  type Caller,
  expectedTeams as expected,
  openTwoTeams,
  owned,
  reads,
  type TwoTeams,
  teamsIn,
} from "./two-teams.ts";

// Who reads what where teams pay: the tables come from the catalog's expectations, the callers are those of an
// application with two teams. In SQL, and through the Data API with tokens that Auth gave out.

let world: TwoTeams;
let database: TestDatabase;
let clients: Clients;
let teams: Record<string, string>;
let users: Record<Caller, { client: Client; userId: string }>;
beforeAll(async () => {
  // The API tells its terminal of every refusal.
  vi.spyOn(console, "error").mockImplementation(() => {});
  world = await openTwoTeams();
  ({ database, clients, teams, users } = world);
}, 60_000);
afterAll(async () => {
  await world?.close();
  vi.restoreAllMocks();
});

const relation = (client: Client, table: string) => client.from(table.replace("billing.", ""));

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

  test("reads of entitlement_versions the rows of the own teams alone, in SQL and through the Data API", async () => {
    const { client, userId } = users[caller];
    const own = reads[caller].asMember.map((team) => teams[team]).sort();
    const inSql = await database.asUser(
      userId,
      (sql) => sql<{ owner_id: string }[]>`select owner_id from billing.entitlement_versions`,
    );
    expect(inSql.map(({ owner_id }) => owner_id).sort()).toEqual(own);
    const { data, count } = await client.from("entitlement_versions").select("*", { count: "exact" });
    expect(data?.map(({ owner_id }) => owner_id).sort()).toEqual(own);
    expect(count).toBe(own.length);
    for (const id of Object.values(teams)) {
      const named = await client.from("entitlement_versions").select("version").eq("owner_id", id);
      expect(named.data).toHaveLength(own.includes(id) ? 1 : 0);
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
      const seats = await client.rpc("my_seats", named);
      if (isMember) {
        expect(seats.data).toMatchObject({ ...named, used: 1 });
        expect(usage.data).toMatchObject({ usage_limit: 100, used: 0 });
        expect(balance.data).toBe(10);
      } else {
        expect(usage.error?.code).toBe("DU072");
        expect(balance.error?.code).toBe("DU072");
        expect(seats.error?.code).toBe("DU072");
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
  for (const id of Object.values(teams)) {
    const version = await service.from("entitlement_versions").select("version").eq("owner_id", id);
    expect(version.data).toHaveLength(1);
    expect((await service.rpc("limit_seats", { owner_id: id })).data).toMatchObject({ used: 1 });
    // What is about the caller is for users.
    expect((await service.rpc("my_seats", { owner_id: id })).error?.code).toBe("42501");
  }
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
  const several = await both.client.rpc("my_seats");
  expect(several.error).toMatchObject({ code: "DU071", hint: expect.stringContaining("owner_id") });
  expect((await member.client.rpc("my_seats")).data).toMatchObject({ owner_id: teams.red, used: 1 });
  expect((await stranger.client.rpc("my_seats")).data).toMatchObject({
    owner_id: null,
    used: 0,
    is_allowed: false,
  });
  for (const name of ["credit_balance", "my_credit_balance"] as const) {
    expect((await both.client.rpc(name, { kind: "images" })).error?.code).toBe("DU071");
    expect((await member.client.rpc(name, { kind: "images" })).data).toBe(10);
    expect((await stranger.client.rpc(name, { kind: "images" })).data).toBe(0);
  }
});
