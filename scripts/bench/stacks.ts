/** Two whole local stacks at once: one of this work tree, and one of a commit of its history, each with events of its own. */
import { readFileSync } from "node:fs";
import { chmod, mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import postgres, { type Sql } from "postgres";
import Stripe from "stripe";
import type { FunctionProcess } from "../local/functions/process.ts";
import { localKeys } from "../local/keys.ts";
import { projectRoot } from "../local/project.ts";
import { type Stack, startStack } from "../local/stack.ts";
import { checkOut } from "./builds.ts";
import { billingEvents } from "./events.ts";

/** What older builds call their settings. Nobody listens at that address: what is measured ends where the event is stored. */
const OLDER_NAMES = {
  STRIPE_WEBHOOK_SECRET: localKeys.stripeWebhookSecret,
  STRIPE_SECRET_KEY: localKeys.stripeSecretKey,
  STRIPE_API_URL: "http://127.0.0.1:9",
  RESEND_API_KEY: localKeys.resendApiKey,
  RESEND_BASE_URL: "http://127.0.0.1:9",
  RESEND_WEBHOOK_SECRET: localKeys.resendWebhookSecret,
};

/** An event as it is posted. */
export interface SignedEvent {
  id: string;
  payload: string;
  /** Of the header `stripe-signature`. */
  signature: string;
}

/** A stack that a bench delivers events to. */
export interface StackUnderLoad {
  stack: Stack;
  /** Where Stripe's events go. */
  url: string;
  /** Makes the next of its events, signed now. */
  nextEvent(): SignedEvent;
  /** The process of the function that takes them. */
  webhook: FunctionProcess;
  /** As `postgres`, straight to the database; finds it again after it was stopped. */
  sql: Sql;
}

/** Does some work with the stack of this work tree, as withStacks does with two. */
export function withStack<T>(work: (current: StackUnderLoad) => Promise<T>): Promise<T> {
  return withFolder(async (_directory, start) => work(await start(projectRoot, "current-stack")));
}

/**
 * Does some work with both stacks, which have free ports and a temporary directory, and the durability of production.
 * Both end with the work, and what they hold goes.
 *
 * @param commit of the older build; any name that git knows it by
 * @throws Error where git knows no such commit; what the work throws
 */
export function withStacks<T>(
  commit: string,
  work: (older: StackUnderLoad, current: StackUnderLoad) => Promise<T>,
): Promise<T> {
  return withFolder(async (directory, start) => {
    const older = await start(checkOut(commit, directory), "older-stack");
    return await work(older, await start(projectRoot, "current-stack"));
  });
}

type Start = (projectDirectory: string, name: string) => Promise<StackUnderLoad>;

/** Gives the work a temporary directory, and a way to start stacks in it. */
async function withFolder<T>(work: (directory: string, start: Start) => Promise<T>): Promise<T> {
  const directory = await mkdtemp(join(tmpdir(), "duebase-bench-"));
  await chmod(directory, 0o755);
  const sides: StackUnderLoad[] = [];
  try {
    return await work(directory, async (projectDirectory, name) => {
      const side = await startSide(projectDirectory, join(directory, name));
      sides.push(side);
      return side;
    });
  } finally {
    for (const { sql, stack } of sides) {
      await sql.end({ timeout: 1 });
      await stack.stop();
    }
    await rm(directory, { recursive: true, force: true });
  }
}

async function startSide(projectDirectory: string, directory: string): Promise<StackUnderLoad> {
  const stack = await startStack({
    projectDirectory,
    directory,
    ports: { api: 0, db: 0, studio: 0, stripe: 0, inbox: 0 },
    watch: false,
    functionEnv: OLDER_NAMES,
  });
  const sql = postgres(stack.status.DB_URL, { max: 1, onnotice: () => {}, backoff: () => 0.1 });
  await leaveEffectsAlone(stack);
  // Functions had other names before they all began with duebase-.
  const { names } = stack.functions;
  const name = names.includes("duebase-stripe-webhook") ? "duebase-stripe-webhook" : "stripe-webhook";
  const webhook = stack.functions.get(name);
  if (!webhook) throw new Error(`the stack in ${projectDirectory} has no function ${name}`);
  const signer = new Stripe("sk_test_bench_example");
  const events = billingEvents("load");
  return {
    stack,
    url: `${stack.status.FUNCTIONS_URL}/${name}`,
    nextEvent() {
      const event = events.next().value as Stripe.Event;
      const payload = JSON.stringify(event);
      const secret = stack.status.STRIPE_WEBHOOK_SECRET;
      return {
        id: event.id,
        payload,
        signature: signer.webhooks.generateTestHeaderString({ payload, secret }),
      };
    },
    webhook,
    sql,
  };
}

/** Without an address the database wakes no function, and what is measured is receiving alone. */
async function leaveEffectsAlone(stack: Stack): Promise<void> {
  const sql = postgres(stack.postgres.urlFor("supabase_admin"), { max: 1, onnotice: () => {} });
  try {
    await sql`delete from vault.secrets where name = 'duebase_functions_url'`;
  } finally {
    await sql.end();
  }
}

/**
 * The most megabytes of memory that a process has held since it began, its runtime included. Undefined where the machine does
 * not tell; Linux does.
 */
export function mostMemory({ pid }: FunctionProcess): number | undefined {
  let status: string;
  try {
    status = readFileSync(`/proc/${pid}/status`, "utf8");
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return undefined;
    throw error;
  }
  return Number(/^VmHWM:\s+(\d+) kB$/m.exec(status)?.[1] ?? Number.NaN) / 1024;
}
