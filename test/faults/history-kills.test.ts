import { spawn } from "node:child_process";
import { rm } from "node:fs/promises";
import { dirname, join } from "node:path";
import { build } from "esbuild";
import { afterAll, beforeAll, expect, test } from "vitest";
import { projectRoot } from "../../scripts/local/project.ts";
import { seededRandom } from "../../scripts/local/service/random.ts";
import type { CallBilling } from "../../supabase/functions/_duebase/database.ts";
import {
  deliverAll,
  differingRows,
  mirroredRows,
  readHistory,
  TEST_KEY,
} from "../support/account/moving-in.ts";
import { type StripeAccount, startAccountWithHistory } from "../support/account/stripe-account.ts";
import { createTestDatabase, type TestDatabase } from "../support/database.ts";
import { callAsService } from "../support/delivering.ts";

const kills = Number(process.env.DUEBASE_HISTORY_KILLS ?? 1);
const cuts = 12;
const seed = Number(process.env.DUEBASE_SEED ?? 7);

let account: StripeAccount;
let listened: TestDatabase;
/** The command as one file, which begins sooner than its sources do. */
const command = join(projectRoot, "node_modules", ".cache", `duebase-kills-${process.pid}`, "duebase.mjs");

beforeAll(async () => {
  await build({
    absWorkingDir: projectRoot,
    entryPoints: ["scripts/duebase.ts"],
    outfile: command,
    bundle: true,
    packages: "external",
    format: "esm",
    platform: "node",
  });
  account = await startAccountWithHistory({ customers: 12, months: 3, seed });
  listened = await createTestDatabase();
}, 300_000);
afterAll(async () => {
  await account?.close();
  await listened?.drop();
  await rm(dirname(command), { recursive: true, force: true });
});

/** The runner is gone, and with it nobody gives its lease back. */
async function letLeaseRunOut(database: TestDatabase): Promise<void> {
  await database.sql`update billing_private.history_lease set locked_until = '-infinity' where true`;
}

/** Something happens at Stripe, and its webhooks arrive. */
async function live(database: TestDatabase, random: () => number): Promise<void> {
  const before = account.local.events.all().length;
  const someone = account.customers[Math.floor(random() * account.customers.length)] ?? "";
  await account.stripe.customers.update(someone, { name: `Named ${Math.floor(random() * 1000)}` });
  const [running] = (await account.stripe.subscriptions.list({ customer: someone, limit: 1 })).data;
  if (running) await account.stripe.subscriptions.update(running.id, { metadata: { at: String(random()) } });
  for (const event of account.local.events.all().slice(before)) await database.receive(event, account.now());
}

/** What the database of one that had listened all the time has. */
async function expectRowsOfListener(database: TestDatabase): Promise<void> {
  await deliverAll(listened, account);
  expect(differingRows(await mirroredRows(listened), await mirroredRows(database))).toEqual([]);
}

test(`cut off at ${cuts} calls to the database, before or after they commit, with webhooks arriving (seed ${seed}): the same rows`, async () => {
  const database = await createTestDatabase();
  const random = seededRandom(seed);
  const call = callAsService(database);
  for (let cut = 0; cut < cuts; cut += 1) {
    let left = 2 + Math.floor(random() * 14);
    const isAfter = random() < 0.5;
    const callBilling = (async (name, args) => {
      left -= 1;
      // Whoever is killed gives nothing back either.
      if (left < 0) throw new Error("cut off");
      if (left > 0) return await call(name, args);
      if (isAfter) await call(name, args);
      throw new Error("cut off");
    }) as CallBilling;
    await readHistory(database, account, { kind: "backfill" }, { callBilling }).catch((error: Error) => {
      if (error.message !== "cut off") throw error;
    });
    await letLeaseRunOut(database);
    await live(database, random);
  }
  expect(await readHistory(database, account)).toMatchObject({
    outcome: "finished",
    run: { status: "complete" },
  });
  await expectRowsOfListener(database);
  await database.drop();
}, 600_000);

test(`killed with SIGKILL at ${kills} random moments of the command, with webhooks arriving (seed ${seed}): the same rows`, async () => {
  const database = await createTestDatabase();
  const random = seededRandom(seed + 1);
  for (let kill = 0; kill < kills; kill += 1) {
    account.local.ledger.clear();
    // By calls and not by time: a busy machine takes long to begin.
    const killed = killedAfter(database, 1 + Math.floor(random() * 40));
    await live(database, random);
    await killed;
    await letLeaseRunOut(database);
    await live(database, random);
  }
  const ended = await backfillCommand(database).ended;
  expect(ended.problem).toBe("");
  expect(ended.code).toBe(0);
  expect(JSON.parse(ended.output)).toMatchObject({ run: { status: "complete" }, mails: 0 });
  await expectRowsOfListener(database);
  await database.drop();
}, 3_600_000);

interface Ended {
  code: number | null;
  output: string;
  problem: string;
}

function backfillCommand(database: TestDatabase): { kill(): void; ended: Promise<Ended> } {
  const child = spawn(process.execPath, [command, "backfill", "--json", "--db-url", database.url], {
    cwd: projectRoot,
    env: {
      PATH: process.env.PATH,
      DUEBASE_STRIPE_SECRET_KEY: TEST_KEY,
      DUEBASE_STRIPE_API_URL: account.local.url,
    },
  });
  let output = "";
  let problem = "";
  child.stdout.on("data", (part) => {
    output += part;
  });
  child.stderr.on("data", (part) => {
    problem += part;
  });
  const ended = new Promise<Ended>((resolve) =>
    child.on("close", (code) => resolve({ code, output, problem })),
  );
  return { kill: () => child.kill("SIGKILL"), ended };
}

async function killedAfter(database: TestDatabase, calls: number): Promise<void> {
  const running = backfillCommand(database);
  let isOver = false;
  void running.ended.then(() => {
    isOver = true;
  });
  const until = Date.now() + 120_000;
  while (
    !isOver &&
    Date.now() < until &&
    account.local.ledger.requestsWhere({ method: "GET" }).length < calls
  ) {
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
  running.kill();
  await running.ended;
}
