import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import postgres, { type Sql } from "postgres";
import Stripe from "stripe";
import { cronCall } from "../../../scripts/local/cron-call.ts";
import { type Inbox, startInbox } from "../../../scripts/local/inbox/server.ts";
import { localKeys } from "../../../scripts/local/keys.ts";
import { type Stack, startStack } from "../../../scripts/local/stack.ts";
import { eventually } from "../../support/stack-project.ts";

/** A stack whose deliver a test can stop at any point and end with SIGKILL, with ledgers of its effects. */
export interface DeliverStack {
  stack: Stack;
  sql: Sql;
  /** Resend, without the limit of requests that the stack's own inbox has. */
  inbox: Inbox;
  stripe: Stripe;
  /** Asks deliver to run and waits until the run is over. `now` is the database's clock. */
  run(options?: { now?: Date }): Promise<Record<string, number>>;
  /**
   * Asks deliver to run until it reaches a crash point, and ends it there with SIGKILL. Resolves once it serves again,
   * with whether the point was reached.
   */
  killAt(point: string, options?: { nth?: number; now?: Date }): Promise<boolean>;
  /** Runs deliver, each time hours later, until nothing is owed any more. */
  drain(from: Date): Promise<void>;
  close(): Promise<void>;
}

const STOPPED_WITHIN_MS = 20_000;

/** Starts the stack. Its minute tick comes on request only, so that the test decides when deliver runs. */
export async function startDeliverStack(functionEnv: Record<string, string> = {}): Promise<DeliverStack> {
  const directory = await mkdtemp(join(tmpdir(), "duebase-deliver-"));
  const inbox = await startInbox({ port: 0, mailbox: false, ratePerSecond: Number.POSITIVE_INFINITY });
  const lines: string[] = [];
  const stack = await startStack({
    directory,
    ports: { api: 0, db: 0, studio: 0, inbox: 0, stripe: 0 },
    fsync: false,
    watch: false,
    show: (line) => lines.push(line),
    functionEnv: {
      DUEBASE_RESEND_BASE_URL: inbox.apiUrl,
      DUEBASE_RESEND_API_KEY: "re_example",
      DUEBASE_RESEND_REQUESTS_PER_SECOND: "1000",
      ...functionEnv,
    },
  });
  const sql = postgres(stack.status.DB_URL, { max: 4, onnotice: () => {} });
  await sql`select cron.alter_job(jobid, active => false) from cron.job where jobname = 'duebase-tick'`;
  // Wake-ups are tested by themselves.
  await sql`delete from vault.secrets where name = 'duebase_cron_secret'`;
  const { hostname, port } = new URL(stack.status.STRIPE_API_URL);
  const stripe = new Stripe(localKeys.stripeSecretKey, {
    host: hostname,
    port,
    protocol: "http",
    maxNetworkRetries: 0,
  });

  const call = (options: object) =>
    fetch(
      `${stack.status.FUNCTIONS_URL}/duebase-deliver`,
      cronCall("duebase-deliver", { wait: true, ...options }),
    );
  const run: DeliverStack["run"] = async ({ now } = {}) => {
    const response = await call({ now });
    if (!response.ok) throw new Error(`deliver answered ${response.status}: ${await response.text()}`);
    return (await response.json()) as Record<string, number>;
  };

  return {
    stack,
    sql,
    inbox,
    stripe,
    run,
    async killAt(point, { nth = 1, now } = {}) {
      const from = lines.length;
      let isOver = false;
      const over = call({ now, stop_at: point, stop_at_nth: nth })
        .then((response) => response.text())
        .catch(() => {})
        .finally(() => {
          isOver = true;
        });
      const deadline = Date.now() + STOPPED_WITHIN_MS;
      const hasStopped = () => lines.slice(from).some((line) => line.includes(`stopped at ${point}`));
      while (!hasStopped() && !isOver && Date.now() < deadline)
        await new Promise((resolve) => setTimeout(resolve, 10));
      const reached = hasStopped();
      const process = stack.functions.get("duebase-deliver");
      const killed = process?.pid;
      await process?.kill();
      await over;
      await eventually(
        "deliver in a new process",
        () => process?.pid !== undefined && process.pid !== killed,
      );
      if ((await process?.port(STOPPED_WITHIN_MS)) === undefined)
        throw new Error("deliver does not serve again");
      return reached;
    },
    async drain(from) {
      for (let hour = 1; hour <= 20; hour++) {
        const [left] =
          await sql`select count(*)::int as rows from billing.outbox where status in ('pending', 'claimed')`;
        if (left?.rows === 0) return;
        await run({ now: new Date(from.getTime() + hour * 3_600_000) });
      }
      throw new Error("the outbox does not drain");
    },
    async close() {
      await sql.end({ timeout: 1 });
      await stack.stop();
      await inbox.close();
      await rm(directory, { recursive: true, force: true });
    },
  };
}
