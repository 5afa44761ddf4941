import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Writable } from "node:stream";
import Stripe from "stripe";
import { type ConnectOptions, connect } from "../../../scripts/duebase/commands/connect.ts";
import { Terminal } from "../../../scripts/duebase/terminal.ts";
import { type Inbox, startInbox } from "../../../scripts/local/inbox/server.ts";
import { type LocalManagement, startLocalManagement } from "../../../scripts/local/management/server.ts";
import { projectRoot } from "../../../scripts/local/project.ts";
import { type LocalStripe, startLocalStripe } from "../../../scripts/local/stripe/server.ts";
import type { TestDatabase } from "../database.ts";

export const projectRef = "abcdefghijklmnopqrst";
export const functionsUrl = `https://${projectRef}.supabase.co/functions/v1`;

/** What `duebase connect --json` printed, and whether it ended well. */
export interface Connected {
  exitCode: number;
  /** Everything that it wrote, to both streams. */
  output: string;
  steps: string[];
  missing: string[];
  notes: string[];
}

/** Everything outside a repository: a hosted project, Stripe and Resend, each a server of this machine. */
export interface Outside {
  directory: string;
  supabase: LocalManagement;
  local: LocalStripe;
  stripe: Stripe;
  inbox: Inbox;
  /** What the command reads of its environment; tests change it. */
  env: Record<string, string>;
  /** Runs the command in this process. Waits between calls take no time. */
  connect(options?: ConnectOptions): Promise<Connected>;
  /** Every call that any of the three got. */
  calls(): number;
  /** From the n-th call on nothing reaches any of them; where `isDone`, the n-th is done, and its answer lost. */
  dieAt(call: number, isDone: boolean): void;
  revive(): void;
  close(): Promise<void>;
}

/** Starts it all, with our functions deployed and nothing connected. */
export async function startOutside(database: TestDatabase): Promise<Outside> {
  const directory = await mkdtemp(join(tmpdir(), "duebase-connect-"));
  await mkdir(join(directory, "supabase"));
  await writeFile(join(directory, "supabase/config.toml"), 'project_id = "theirs"\n');
  const supabase = await startLocalManagement({
    port: 0,
    ref: projectRef,
    functionsFolder: join(projectRoot, "supabase/functions"),
  });
  const local = await startLocalStripe({ port: 0 });
  const inbox = await startInbox({ port: 0, mailbox: false, ratePerSecond: Number.POSITIVE_INFINITY });
  const env: Record<string, string> = {
    SUPABASE_API_URL: supabase.url,
    SUPABASE_ACCESS_TOKEN: supabase.accessToken,
    SUPABASE_PROJECT_ID: projectRef,
    DUEBASE_DB_URL: database.url,
    DUEBASE_STRIPE_API_URL: local.url,
    DUEBASE_RESEND_BASE_URL: inbox.apiUrl,
    DUEBASE_STRIPE_SECRET_KEY: "sk_test_duebase_connect_example",
    DUEBASE_RESEND_API_KEY: "re_duebase_connect_example",
    DUEBASE_EMAIL_FROM: "Example <billing@example.com>",
  };
  const stripe = new Stripe("sk_test_duebase_look_example", {
    host: "127.0.0.1",
    port: local.port,
    protocol: "http",
    maxNetworkRetries: 0,
    telemetry: false,
  });
  const servers = () => [outside.supabase, outside.local, outside.inbox];
  const reset = () => {
    for (const { faults } of servers()) faults.clear();
  };
  const outside: Outside = {
    directory,
    supabase,
    local,
    stripe,
    inbox,
    env,
    connect: (options = {}) => run({ dir: directory, yes: true, json: true, ...options }, env),
    calls: () => servers().reduce((sum, { ledger }) => sum + ledger.requests.length, 0),
    dieAt(call, isDone) {
      reset();
      let passed = 0;
      // One count for all three: the fault decides when it is asked.
      const take = (): { kind: "reset" | "reset-after-effect" } | undefined => {
        passed += 1;
        if (passed < call) return undefined;
        return { kind: passed === call && isDone ? "reset-after-effect" : "reset" };
      };
      for (const { faults } of servers()) faults.take = take;
    },
    revive() {
      // The methods of their class again.
      for (const { faults } of servers()) Reflect.deleteProperty(faults, "take");
      reset();
    },
    async close() {
      await Promise.all(servers().map((server) => server.close()));
      await rm(directory, { recursive: true, force: true });
    },
  };
  return outside;
}

async function run(options: ConnectOptions, env: Record<string, string>): Promise<Connected> {
  let output = "";
  const stream = new Writable({
    write(chunk, _encoding, done) {
      output += String(chunk);
      done();
    },
  });
  const terminal = new Terminal({ ...options, out: stream, err: stream, isInteractive: false });
  let exitCode = 1;
  try {
    exitCode = await connect(options, env, { terminal, wait: async () => {}, timeout: 5_000 });
  } catch (error) {
    terminal.refuse(error);
  }
  const answer = options.json === false ? {} : JSON.parse(output);
  return {
    exitCode,
    output,
    steps: (answer.steps ?? []).map(({ id }: { id: string }) => id),
    missing: (answer.missing ?? []).map(({ what }: { what: string }) => what),
    notes: answer.notes ?? [],
  };
}
