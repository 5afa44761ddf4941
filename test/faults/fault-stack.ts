import { mkdtemp, readdir, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { format } from "node:util";
import postgres, { type Sql } from "postgres";
import { vi } from "vitest";
import { type Stack, type StackOptions, startStack } from "../../scripts/local/stack.ts";

/** A whole stack for one test, which may kill its parts. */
export interface FaultStack {
  stack: Stack;
  /** Where Stripe posts to. */
  webhookUrl: string;
  /** As `postgres`, straight to the database; finds it again after it was stopped. */
  sql: Sql;
  /** Signs users up, as Supabase Auth does. */
  signUp(users: readonly string[]): Promise<void>;
  /** Ends the process of the webhook function as a crash would; the stack starts it again. */
  killFunction(): Promise<void>;
  /** Everything that any part has logged or printed so far, the database server included. */
  logged(): Promise<string>;
  /** Ends every part and removes its files. */
  close(): Promise<void>;
}

/**
 * Starts a stack on free ports in a temporary directory, with the durability of production: what is acknowledged must
 * survive. Takes about 4 s.
 */
export async function startFaultStack(options: Pick<StackOptions, "functionEnv"> = {}): Promise<FaultStack> {
  const directory = await mkdtemp(join(tmpdir(), "duebase-faults-"));
  // Parts in this process print a line for each failed request, and here hundreds fail.
  const printed: string[] = [];
  for (const method of ["error", "warn", "log", "info"] as const) {
    vi.spyOn(console, method).mockImplementation((...args) => void printed.push(format(...args)));
  }
  const stack = await startStack({
    ...options,
    directory,
    ports: { api: 0, db: 0, studio: 0, stripe: 0 },
    fsync: true,
    watch: false,
  }).catch(async (error: unknown) => {
    await rm(directory, { recursive: true, force: true });
    throw error;
  });
  const sql = postgres(stack.status.DB_URL, { max: 2, onnotice: () => {}, backoff: () => 0.1 });
  await keepDeliverAsleep(stack);
  return {
    stack,
    webhookUrl: `${stack.status.FUNCTIONS_URL}/duebase-stripe-webhook`,
    sql,
    signUp: async (users) => {
      const auth = postgres(stack.postgres.urlFor("supabase_auth_admin"), { max: 1, onnotice: () => {} });
      for (const id of users) {
        await auth`
          insert into auth.users (id, aud, role, email, email_confirmed_at, created_at, updated_at)
          values (${id}, 'authenticated', 'authenticated', ${`${id}@example.com`}, now(), now(), now())
        `;
      }
      await auth.end();
    },
    killFunction: async () => {
      const webhook = stack.functions.get("duebase-stripe-webhook");
      if (!webhook?.pid) throw new Error("duebase-stripe-webhook has no process to kill");
      await webhook.kill();
    },
    logged: async () => {
      const folder = join(directory, "logs");
      const files = (await readdir(folder)).map((name) => join(folder, name));
      const texts = await Promise.all(
        [...files, stack.postgres.logFile].map((file) => readFile(file, "utf8")),
      );
      return [...texts, ...printed].join("\n");
    },
    close: async () => {
      await sql.end({ timeout: 1 });
      await stack.stop();
      await rm(directory, { recursive: true, force: true });
      vi.restoreAllMocks();
    },
  };
}

/** The objects of these events exist at no Stripe: a read would find them deleted. */
async function keepDeliverAsleep(stack: Stack): Promise<void> {
  const admin = postgres(stack.postgres.adminUrl, { max: 1, onnotice: () => {} });
  await admin`delete from vault.secrets where name = 'duebase_functions_url'`;
  await admin.end();
}
