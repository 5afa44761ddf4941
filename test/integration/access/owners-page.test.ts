import { readFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { createTestDatabase, type TestDatabase } from "../../support/database.ts";
import { Story, tell } from "../entitlements/story.ts";
import { subscribe } from "./subscribers.ts";

// The SQL of docs/owners.md, as it stands there.

const page = readFileSync(join(import.meta.dirname, "../../../docs/owners.md"), "utf8");

/** The block of SQL under a comment `run: name`. */
function block(name: string): string {
  const sql = new RegExp(`<!-- run: ${name} -->\\s+\`\`\`sql\\n([^\`]*)\`\`\``).exec(page)?.[1];
  if (!sql) throw new Error(`docs/owners.md has no block ${name}`);
  return sql;
}

let database: TestDatabase;
const people: Record<string, string> = {};
beforeAll(async () => {
  database = await createTestDatabase();
  for (const name of ["ada", "bob", "eve", "red", "blue"]) people[name] = await database.signUp();
  for (const team of ["red", "blue"]) await subscribe(database, team, people[team]);
});
afterAll(() => database.drop());

const as = (name: string, sql: string) =>
  database.asUser(people[name] ?? "", (transaction) => transaction.unsafe(sql));

test("users pay: each is their own owner and manages it", async () => {
  expect(await as("ada", block("users"))).toEqual([{ owner_id: people.ada, can_manage: true }]);
  expect(await as("red", "select id from billing.invoices")).toEqual([{ id: "in_red" }]);
});

test("users pay: who signs up, buys by a checkout that names them and has the feature passes the page's policy", async () => {
  await database.sql.unsafe(block("users-policy"));
  const { ada = "", bob = "" } = people;
  const story = new Story();
  const write = (name: string) => as(name, "insert into public.reports default values returning id");
  await expect(write("ada")).rejects.toMatchObject({ code: "42501" });
  const session = story.event("checkout.session.completed", {
    id: story.id("cs"),
    object: "checkout.session",
    status: "complete",
    mode: "subscription",
    customer: story.id("cus"),
    subscription: story.id("sub"),
    client_reference_id: ada,
    metadata: { owner_id: ada },
  });
  await tell(database, story.product("export"), session, story.subscription({ metadata: { owner_id: ada } }));
  expect(await write("ada")).toHaveLength(1);
  expect(await as("ada", "select user_id from public.reports")).toEqual([{ user_id: ada }]);
  await expect(write("bob")).rejects.toMatchObject({ code: "42501" });
  expect(await as("bob", "select * from public.reports")).toEqual([]);
  expect(bob).not.toBe(ada);
  await tell(database, story.subscription({ status: "canceled" }));
  expect(await as("ada", "select * from public.reports")).toEqual([]);
  await expect(write("ada")).rejects.toMatchObject({ code: "42501" });
});

test("teams pay: members and managers read what the page says", async () => {
  for (const name of ["tables", "function", "settings", "policy"]) await database.sql.unsafe(block(name));
  const { red = "", blue = "", ada = "", bob = "" } = people;
  await database.sql`insert into public.teams (id, name) values (${red}, 'Red'), (${blue}, 'Blue')`;
  await database.sql`
    insert into public.members (team_id, user_id, role)
    values (${red}, ${ada}, 'owner'), (${red}, ${bob}, 'member'), (${blue}, ${bob}, 'admin')`;
  expect(await as("ada", "select id from billing.invoices")).toEqual([{ id: "in_red" }]);
  expect(await as("bob", "select id from billing.invoices")).toEqual([{ id: "in_blue" }]);
  expect(await as("bob", "select id from billing.subscriptions order by 1")).toEqual([
    { id: "sub_blue" },
    { id: "sub_red" },
  ]);
  expect(await as("eve", "select id from billing.subscriptions")).toEqual([]);
  // Whoever was an owner as a user is none where teams pay.
  expect(await as("red", "select id from billing.invoices")).toEqual([]);
  await expect(as("eve", `select * from public.billing_owners('${ada}')`)).rejects.toMatchObject({
    code: "42501",
  });
});

test("the page's policy shows rows of the teams that have the feature, and no other team's", async () => {
  const { red = "", blue = "" } = people;
  await database.sql`insert into public.exports (team_id) values (${red}), (${blue}), (${red})`;
  await database.sql`update billing.entitlements set feature = 'export' where owner_id = ${red}`;
  expect(await as("bob", "select distinct team_id from public.exports")).toEqual([{ team_id: red }]);
  expect(await as("eve", "select * from public.exports")).toEqual([]);
});

test("the page's links and its trigger: a team is linked by what the application knows, and goes with its customers", async () => {
  const { red = "", blue = "" } = people;
  await database.sql.unsafe("alter table public.teams add column stripe_customer text");
  await database.sql`update public.teams set stripe_customer = 'cus_blue' where id = ${red}`;
  await database.sql`update public.teams set stripe_customer = 'cus_later' where id = ${blue}`;
  const links = await database.sql.unsafe(block("links"));
  expect(new Map(links.map(({ customer, outcome }) => [customer, outcome]))).toEqual(
    new Map([
      ["cus_blue", "linked"],
      ["cus_later", "kept"],
    ]),
  );
  await database.sql.unsafe(block("deletion"));
  await database.sql`delete from public.exports where team_id = ${red}`;
  await database.sql`delete from public.teams where id = ${red}`;
  expect(await database.sql`select id from billing.customers where owner_id = ${red}`).toEqual([]);
  expect(await database.sql`select feature from billing.entitlements where owner_id = ${red}`).toEqual([]);
  const restore = block("restored").replace("00000000-0000-4000-8000-000000000001", red);
  expect(restore).toContain(red);
  expect(await database.sql.unsafe(restore)).toMatchObject([{ owner_restored: expect.any(Number) }]);
  const customers = await database.sql`select id from billing.customers where owner_id = ${red} order by 1`;
  expect(customers.map(({ id }) => id)).toContain("cus_blue");
});

test("the page's triggers count the members, and keep out whoever has no seat", async () => {
  const { blue = "", ada = "" } = people;
  await database.sql.unsafe(block("seats"));
  const used = () => database.sql`select (billing.limit_seats(${blue})).used::int`;
  expect(await used()).toEqual([{ used: 1 }]);
  await database.sql`insert into public.members (team_id, user_id, role) values (${blue}, ${ada}, 'member')`;
  expect(await used()).toEqual([{ used: 2 }]);
  await database.sql.unsafe(block("seats-limit"));
  await database.sql`update billing.customers set owner_id = null where owner_id = ${blue}`;
  await expect(
    database.sql`insert into public.members (team_id, user_id, role) values (${blue}, ${people.eve ?? ""}, 'member')`,
  ).rejects.toMatchObject({ code: "23514" });
  await database.sql`delete from public.members where team_id = ${blue} and user_id = ${ada}`;
  expect(await used()).toEqual([{ used: 1 }]);
});
