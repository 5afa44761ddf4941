import { createTestDatabase, type TestDatabase } from "../../support/database.ts";
import { type Client, Clients } from "./clients.ts";
import { namedBy, readByMembers, tables } from "./expectations.ts";
import { subscribe } from "./subscribers.ts";
import { join, payByTeam } from "./teams.ts";

/** Tables of which signed-in users read rows. */
export const owned = Object.keys(tables).filter((name) => tables[name] === "owner");
export const TEAMS = ["red", "blue"] as const;
export const CALLERS = ["stranger", "member", "manager", "rival", "both"] as const;
export type Caller = (typeof CALLERS)[number];

/** The teams whose rows each caller reads in a table for members, and in one for managers. */
export const reads: Record<Caller, { asMember: string[]; asManager: string[] }> = {
  stranger: { asMember: [], asManager: [] },
  member: { asMember: ["red"], asManager: [] },
  manager: { asMember: ["red"], asManager: ["red"] },
  rival: { asMember: ["blue"], asManager: ["blue"] },
  both: { asMember: ["blue", "red"], asManager: ["blue"] },
};

/** The teams whose rows of a table a caller reads. */
export const expectedTeams = (caller: Caller, table: string): string[] =>
  readByMembers.includes(table) ? reads[caller].asMember : reads[caller].asManager;

/** The teams that rows of a table are of, each once. */
export const teamsIn = (table: string, rows: Record<string, unknown>[]): string[] =>
  [...new Set(rows.map((row) => String(row[namedBy[table] ?? "id"]).replace(/^.*_/, "")))].sort();

/** An application with two teams, each with a row in every table that owners read, and with users of every kind. */
export interface TwoTeams {
  database: TestDatabase;
  clients: Clients;
  /** The id of each team, by its name. */
  teams: Record<string, string>;
  users: Record<Caller, { client: Client; userId: string }>;
  close(): Promise<void>;
}

export async function openTwoTeams(): Promise<TwoTeams> {
  const database = await createTestDatabase();
  const clients = await Clients.over(database);
  await payByTeam(database);
  const teams: Record<string, string> = {};
  for (const team of TEAMS) {
    const id = await database.signUp();
    teams[team] = id;
    await subscribe(database, team, id);
  }
  const users = {} as Record<Caller, { client: Client; userId: string }>;
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
    from unnest(${[...TEAMS]}::text[]) as t`;
  return {
    database,
    clients,
    teams,
    users,
    close: async () => {
      await clients.close();
      await database.drop();
    },
  };
}
