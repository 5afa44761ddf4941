import { randomUUID } from "node:crypto";
import postgres, { type JSONValue, type Sql, type TransactionSql } from "postgres";
import { inject } from "vitest";
import { TEMPLATE } from "./shared-postgres.ts";

/** What `receive_event` answers. */
export type Received = "processed" | "duplicate" | "quarantined" | "failed" | "probed" | "probe_quarantined";

/** What `receive_events` answers for one event; `retry_single`: it is not stored, send it alone. */
export type ReceivedInBatch = Received | "retry_single";

/** A user to sign up. What is left out is generated. */
export interface NewUser {
  id?: string;
  email?: string;
  /** Whether the email address is confirmed. Default true. */
  confirmed?: boolean;
}

/** A migrated database of a test's own. */
export interface TestDatabase {
  name: string;
  /** As `postgres`, owner of everything migrations made and no superuser. */
  url: string;
  /** As `supabase_admin`, the superuser. */
  adminUrl: string;
  /** Connection string of a role that may log in: postgres, authenticator, supabase_auth_admin, supabase_admin. */
  urlFor(role: string): string;
  /** Client as `postgres`. Several connections; `connect` for one of a test's own. */
  sql: Sql;
  /** Opens another client, as `postgres` unless said otherwise; closed by `drop`. */
  connect(options?: { role?: string; connections?: number }): Sql;
  /** Runs work in a transaction as the Data API does: logged in as authenticator, then `set local role`. */
  asService<T>(work: (sql: TransactionSql) => Promise<T>): Promise<T>;
  /** The rows of one statement as service_role, in one round trip to the server; `headers` of the request as JSON. */
  askAsService(statement: string, headers?: string): Promise<Record<string, unknown>[]>;
  /** The same for a signed-in user, whose id `auth.uid()` answers. */
  asUser<T>(userId: string, work: (sql: TransactionSql) => Promise<T>): Promise<T>;
  /** The same without a user. */
  asAnon<T>(work: (sql: TransactionSql) => Promise<T>): Promise<T>;
  /** Delivers one event as the webhook function does, as service_role, in a transaction of its own. */
  receive(event: object, now?: Date): Promise<Received>;
  /** Inserts a row in auth.users as Supabase Auth does. Returns the user's id. */
  signUp(user?: NewUser): Promise<string>;
  /** Closes all clients and removes the database. */
  drop(): Promise<void>;
}

const AS_SERVICE = `
  select set_config('role', 'service_role', true), set_config('request.jwt.claims', '{"role": "service_role"}', true)`;

/**
 * Makes a migrated database of your own by copying the template: about 0.1 s.
 * Call it in `beforeAll` and `drop` it in `afterAll`; tests of one file may share it if they use ids of their own.
 *
 * @param copyOf another test's database, to be copied as it is; nobody else may be connected to it meanwhile
 */
export async function createTestDatabase({ copyOf }: { copyOf?: TestDatabase } = {}): Promise<TestDatabase> {
  const server = new URL(inject("sharedPostgres"));
  const name = `test_${randomUUID().replaceAll("-", "")}`;
  const urlFor = (role: string, database = name) => {
    const url = new URL(server);
    url.username = role;
    url.pathname = `/${database}`;
    return url.href;
  };
  await onServer(urlFor("supabase_admin", "template1"), [
    ...(copyOf
      ? [`select pg_terminate_backend(pid) from pg_stat_activity where datname = '${copyOf.name}'`]
      : []),
    `create database ${name} template ${copyOf?.name ?? TEMPLATE} strategy file_copy`,
    // Privileges on a database are not copied with it.
    `grant all on database ${name} to postgres`,
    `grant create on database ${name} to supabase_auth_admin`,
  ]);

  const clients: Sql[] = [];
  const connect: TestDatabase["connect"] = ({ role = "postgres", connections = 1 } = {}) => {
    const client = postgres(urlFor(role), { max: connections, onnotice: () => {}, idle_timeout: 0 });
    clients.push(client);
    return client;
  };
  const sql = connect({ connections: 4 });
  const api = connect({ role: "authenticator", connections: 4 });
  const auth = connect({ role: "supabase_auth_admin" });

  const asRole = <T>(role: string, claims: JSONValue, work: (sql: TransactionSql) => Promise<T>) =>
    api.begin(async (transaction) => {
      await transaction`select set_config('role', ${role}, true), set_config('request.jwt.claims', ${JSON.stringify(claims)}, true)`;
      return { result: await work(transaction) };
    });

  const database: TestDatabase = {
    name,
    url: urlFor("postgres"),
    adminUrl: urlFor("supabase_admin"),
    urlFor: (role) => urlFor(role),
    sql,
    connect,
    asService: async (work) => (await asRole("service_role", { role: "service_role" }, work)).result,
    askAsService: async (statement, headers = "") => {
      const request = `select set_config('request.headers', '${headers.replaceAll("'", "''")}', true)`;
      // Statements sent as one text are one transaction.
      const results = await api.unsafe(`${request}; ${AS_SERVICE}; ${statement}`);
      return (results as unknown as Record<string, unknown>[][])[2] ?? [];
    },
    asUser: async (userId, work) =>
      (await asRole("authenticated", { sub: userId, role: "authenticated" }, work)).result,
    asAnon: async (work) => (await asRole("anon", { role: "anon" }, work)).result,
    receive: (event, now) =>
      database.asService(async (transaction) => {
        const payload = transaction.json(event as JSONValue);
        const [row] = now
          ? await transaction<
              { outcome: Received }[]
            >`select billing.receive_event(${payload}, ${now}) as outcome`
          : await transaction<{ outcome: Received }[]>`select billing.receive_event(${payload}) as outcome`;
        if (!row) throw new Error("receive_event returned nothing");
        return row.outcome;
      }),
    signUp: async ({ id = randomUUID(), email = `${id}@example.com`, confirmed = true } = {}) => {
      await auth`
        insert into auth.users (id, aud, role, email, email_confirmed_at, created_at, updated_at)
        values (${id}, 'authenticated', 'authenticated', ${email}, ${confirmed ? auth`now()` : null}, now(), now())
      `;
      return id;
    },
    drop: async () => {
      await Promise.all(clients.map((client) => client.end({ timeout: 1 })));
      await onServer(urlFor("supabase_admin", "template1"), [`drop database ${name} with (force)`]);
    },
  };
  return database;
}

async function onServer(url: string, statements: string[]): Promise<void> {
  const admin = postgres(url, { max: 1, onnotice: () => {} });
  try {
    for (const statement of statements) await admin.unsafe(statement);
  } finally {
    await admin.end();
  }
}
