import { afterAll, beforeAll, describe, expect, test, vi } from "vitest";
import { localKeys } from "../../../scripts/local/keys.ts";
import { Realtime } from "../../../scripts/local/realtime/changes.ts";
import { NotAManagerError } from "../../../supabase/functions/_duebase/errors.ts";
import { connectOwners, ownerToActFor } from "../../../supabase/functions/_duebase/managed-owners.ts";
import { createTestDatabase, type TestDatabase } from "../../support/database.ts";
import { type Client, Clients } from "./clients.ts";
import { tables } from "./expectations.ts";
import { subscribe } from "./subscribers.ts";
import { join, payByTeam } from "./teams.ts";

// Every way by which a signed-in user gets at something of their owners', while the owners function cannot say who
// these are. Each door is open to the same manager before.

const readable = Object.keys(tables).filter((name) => ["owner", "version"].includes(tables[name] ?? ""));

let database: TestDatabase;
let clients: Clients;
let client: Client;
let token: string;
let userId: string;
let team: string;
let realtime: Realtime;
beforeAll(async () => {
  vi.spyOn(console, "error").mockImplementation(() => {});
  database = await createTestDatabase();
  clients = await Clients.over(database);
  await payByTeam(database);
  ({ client, token, userId } = await clients.signUp("manager"));
  team = await database.signUp();
  await subscribe(database, "red", team);
  await join(database, team, userId, "owner");
  await database.sql`
    insert into billing.invoices
      (id, customer, subscription, status, collection_method, currency, amount_due, amount_remaining, attempt_count, first_payment_failed_at)
    values ('in_due', 'cus_red', 'sub_red', 'open', 'charge_automatically', 'eur', 900, 900, 1, now() - interval '2 days')`;
  await database.sql.unsafe(`
    create table app.exports (team_id uuid);
    insert into app.exports values ('${team}');
    alter table app.exports enable row level security;
    grant usage on schema app to authenticated;
    grant select on app.exports to authenticated;
    create policy with_feature on app.exports for select to authenticated using ((select billing.has_feature('feature_red')));
  `);
  realtime = await Realtime.over(database);
  const filter = { column: "owner_id", value: team };
  await realtime.subscribe("manager", { table: "billing.entitlement_versions", user: userId, filter });
}, 60_000);
afterAll(async () => {
  await realtime?.close();
  await clients?.close();
  await database.drop();
  vi.restoreAllMocks();
});

/** What the manager gets at each door: something, or nothing. */
async function doors(): Promise<Record<string, boolean>> {
  const found: Record<string, boolean> = {};
  for (const table of readable) {
    const { data, error } = await client.from(table.replace("billing.", "")).select("*");
    expect(error, table).toBeNull();
    found[table] = (data ?? []).length > 0;
  }
  const answer = async (name: string, args: object = {}) => (await client.rpc(name, args)).data as unknown;
  const limitOf = (usage: unknown) =>
    Number((usage as { usage_limit?: number } | null)?.usage_limit ?? 0) > 0;
  const named = { owner_id: team };
  const asked = { feature: "feature_red" };
  found["a policy of the application's"] =
    (await database.asUser(userId, (sql) => sql`select from app.exports`)).length > 0;
  found.has_feature = (await answer("has_feature", asked)) === true;
  found.entitlements_version = Number(await answer("entitlements_version")) > 0;
  found.my_owners = ((await answer("my_owners")) as unknown[]).length > 0;
  found.my_billing_status = ((await answer("my_billing_status")) as unknown[]).length > 0;
  found.current_usage = limitOf(await answer("current_usage", { metric: "api_calls" }));
  found["my_usage of the team"] = limitOf(await answer("my_usage", { metric: "api_calls", ...named }));
  found.my_usage = limitOf(await answer("my_usage", { metric: "api_calls" }));
  found.credit_balance = Number(await answer("credit_balance", { kind: "images" })) > 0;
  found["my_credit_balance of the team"] =
    Number(await answer("my_credit_balance", { kind: "images", ...named })) > 0;
  found.my_credit_balance = Number(await answer("my_credit_balance", { kind: "images" })) > 0;
  const usedSeats = async (args: object = {}) =>
    Number(((await answer("my_seats", args)) as { used?: number } | null)?.used ?? 0);
  found["my_seats of the team"] = (await usedSeats(named)) > 0;
  found.my_seats = (await usedSeats()) > 0;
  found["user_has_feature, for servers"] =
    (await clients.connect(localKeys.secret).rpc("user_has_feature", { user_id: userId, ...asked })).data ===
    true;
  for (const owner of [team, undefined])
    found[`portal and checkout for ${owner ? "the team" : "the only one"}`] = await managed(owner);
  await database.sql`
    select billing_private.next_entitlement_version(${team}, now())`;
  found.Realtime = Object.keys(await realtime.heard()).length > 0;
  return found;
}

/** Whether portal and checkout find an owner to act for. */
async function managed(owner: string | undefined): Promise<boolean> {
  const read = connectOwners({
    url: "http://api.test",
    projectRef: "local",
    secretKey: localKeys.secret,
    fetch: clients.fetch,
  });
  try {
    ownerToActFor(await read(token, owner), owner);
    return true;
  } catch (error) {
    if (error instanceof NotAManagerError) return false;
    throw error;
  }
}

const define = (body: string) =>
  database.sql.unsafe(`
    drop function if exists app.my_teams(uuid);
    create function app.my_teams(user_id uuid) returns table (owner_id uuid, can_manage boolean)
    language plpgsql stable set search_path = '' as $$ begin ${body} end $$;
  `);
const RIGHT = `return query select m.team_id, m.role in ('owner', 'admin') from app.members as m where m.user_id = $1;`;

const problem = async () => {
  await database.sql`select billing_private.probe_owners_function(now())`;
  const { data } = await clients
    .connect(localKeys.secret)
    .from("job_problems")
    .select("problem")
    .eq("job", "owners_function");
  return (data as { problem: string }[])[0]?.problem;
};

describe("every door", () => {
  test("is open while the owners function is right", async () => {
    const found = await doors();
    expect(Object.entries(found).filter(([, isOpen]) => !isOpen)).toEqual([]);
    expect(Object.keys(found).length).toBeGreaterThan(24);
    expect(await problem()).toBeUndefined();
  });

  test.each([
    ["raises", () => define("raise exception 'the members are away';"), "the members are away (P0001)"],
    ["fails an assertion", () => define("assert false, 'not now';"), "not now (P0004)"],
    ["raises after its first rows", () => define(`${RIGHT} raise exception 'half way';`), "half way (P0001)"],
    [
      "is gone",
      () => database.sql.unsafe("drop function app.my_teams(uuid)"),
      "there is no function app.my_teams(uuid)",
    ],
  ])(
    "is closed while it %s, health says why, and all are open again once it is right",
    async (_, broken, why) => {
      await broken();
      const found = await doors();
      expect(Object.entries(found).filter(([, isOpen]) => isOpen)).toEqual([]);
      expect(await problem()).toContain(why);
      await define(RIGHT);
      expect(Object.entries(await doors()).filter(([, isOpen]) => !isOpen)).toEqual([]);
      expect(await problem()).toBeUndefined();
    },
  );
});
