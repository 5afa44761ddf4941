import { mkdtemp, rm } from "node:fs/promises";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import postgres, { type Sql } from "postgres";
import type Stripe from "stripe";
import { expect } from "vitest";
import { billingOver } from "../../../scripts/duebase/connections/billing.ts";
import { checks } from "../../../scripts/duebase/doctor/checks/index.ts";
import type { DoctorContext } from "../../../scripts/duebase/doctor/context.ts";
import { type Environment, openContext } from "../../../scripts/duebase/doctor/open.ts";
import { type Diagnosis, type Result, runChecks } from "../../../scripts/duebase/doctor/run.ts";
import { localKeys } from "../../../scripts/local/keys.ts";
import { type Stack, startStack } from "../../../scripts/local/stack.ts";
import { stripeAt } from "../../../scripts/local/stripe-client.ts";
import { runHistory } from "../../../supabase/functions/_duebase/history/runner.ts";
import { connectStripe } from "../../../supabase/functions/_duebase/stripe.ts";
import { eventually } from "../../support/stack-project.ts";

/** A stack that is set up right, and doctor beside it. */
export interface DoctorStack {
  stack: Stack;
  sql: Sql;
  /** As supabase_admin, for what `postgres` may not break. */
  admin: Sql;
  stripe: Stripe;
  /** Stripe's endpoint for this stack. */
  endpoint(): Promise<Stripe.WebhookEndpoint>;
  /** What doctor is told on this machine. */
  env: Environment;
  /** Everything doctor says, or what some checks say. */
  diagnose(only?: string[], change?: Partial<DoctorContext>): Promise<Diagnosis>;
  close(): Promise<void>;
}

/** Starts a stack, names product and sender, and lets Stripe send one event. */
export async function startDoctorStack(): Promise<DoctorStack> {
  const directory = await mkdtemp(join(tmpdir(), "duebase-doctor-"));
  const stack = await startStack({
    directory,
    ports: { api: 0, db: 0, studio: 0, inbox: 0, stripe: 0 },
    fsync: false,
    watch: false,
  });
  const sql = postgres(stack.status.DB_URL, { max: 4, onnotice: () => {} });
  const admin = postgres(stack.postgres.adminUrl, { max: 1, onnotice: () => {} });
  const stripe = stripeAt(stack.status.STRIPE_API_URL);
  const env: Environment = {
    DUEBASE_STRIPE_SECRET_KEY: localKeys.stripeSecretKey,
    DUEBASE_STRIPE_API_URL: stack.status.STRIPE_API_URL,
    DUEBASE_STRIPE_WEBHOOK_SECRET: localKeys.stripeWebhookSecret,
    DUEBASE_RESEND_API_KEY: localKeys.resendApiKey,
    DUEBASE_RESEND_BASE_URL: stack.inbox.apiUrl,
    DUEBASE_RESEND_WEBHOOK_SECRET: localKeys.resendWebhookSecret,
  };
  // No daily run begins meanwhile: its hour is as far away as an hour can be.
  await sql`
    update billing.settings
    set app_name = 'Acme', email_from = 'Acme <billing@example.com>',
      dunning_hour = extract(hour from now() at time zone 'UTC' + interval '12 hours')
    where id`;
  await stripe.customers.create({ name: "First" });
  await eventually(
    "Stripe's event is here",
    async () => (await sql`select from billing.webhook_events`).length > 0,
  );
  await stack.runCronJob("duebase-tick");
  await backfill(sql, stack.status.STRIPE_API_URL);
  return {
    stack,
    sql,
    admin,
    stripe,
    env,
    async endpoint() {
      const { data } = await stripe.webhookEndpoints.list();
      const ours = data.find(({ url }) => url.endsWith("/duebase-stripe-webhook"));
      if (!ours) throw new Error("Stripe has no endpoint for the stack");
      return ours;
    },
    async diagnose(only, change = {}) {
      const context = await openContext(sql, {}, env);
      const wanted = only ? checks.filter(({ name }) => only.includes(name)) : checks;
      return runChecks(wanted, { ...context, ...change });
    },
    async close() {
      await Promise.all([sql.end({ timeout: 1 }), admin.end({ timeout: 1 })]);
      await stack.stop();
      await rm(directory, { recursive: true, force: true });
    },
  };
}

/** What `duebase backfill` does, in this process. */
export async function backfill(sql: Sql, stripeUrl: string): Promise<void> {
  const secretKey = localKeys.stripeSecretKey;
  const result = await runHistory(
    {
      callBilling: billingOver(sql),
      callStripe: connectStripe({ secretKey, baseUrl: stripeUrl }),
      secretKey,
      holder: "test",
    },
    { kind: "backfill" },
  );
  expect(result).toMatchObject({ outcome: "finished", run: { status: "complete" } });
}

/** Something set up wrongly on purpose. */
export interface Misconfiguration {
  what: string;
  /** The check that has to name it. */
  check: string;
  light: "red" | "amber";
  says: RegExp;
  cure: RegExp;
  set(doctor: DoctorStack): Promise<unknown>;
  /** Does what the cure says. */
  follow(doctor: DoctorStack, found: Result): Promise<unknown>;
  /** Changes of what doctor is given on this machine, until the cure was followed. */
  change?: Partial<DoctorContext>;
  /** The same, where it depends on the stack. */
  given?(doctor: DoctorStack): Partial<DoctorContext>;
}

/**
 * Sets it up wrongly, and asks doctor, which has to name what is wrong and the cure, in a line each; follows the cure,
 * and asks again.
 */
export async function tryOut(doctor: DoctorStack, one: Misconfiguration): Promise<void> {
  await one.set(doctor);
  // One that lacks a secret never serves.
  await doctor.stack.functions.ready(30_000);
  const before = await doctor.diagnose([one.check], { ...one.change, ...one.given?.(doctor) });
  const found = before.results.find(({ light, says }) => light === one.light && one.says.test(says));
  expect(found, `${one.what}: ${JSON.stringify(before.results)}`).toBeDefined();
  if (!found) return;
  expect(found.cure).toMatch(one.cure);
  for (const line of [found.says, found.cure]) expect(line).not.toContain("\n");
  expect(JSON.stringify(before)).not.toMatch(/whsec_\w|sk_test_duebase|re_duebase|cron_secret_/);
  await one.follow(doctor, found);
  await doctor.stack.functions.ready(30_000);
  const after = await doctor.diagnose([one.check]);
  const stillWrong = after.results.filter(({ light }) => light === "red");
  expect(stillWrong, `${one.what}, mended`).toEqual([]);
  expect(after.results.filter(({ says }) => one.says.test(says))).toEqual([]);
}

/** A server that is none of ours. */
export async function startStranger(
  answer: (path: string) => { status: number; body: string; headers?: Record<string, string> },
): Promise<{ url: string; close(): Promise<void> }> {
  const server: Server = createServer((request, response) => {
    const { status, body, headers } = answer(request.url ?? "");
    request.resume();
    response.writeHead(status, { "content-type": "application/json", ...headers }).end(body);
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    close: () =>
      new Promise((resolve) => {
        server.closeAllConnections();
        server.close(() => resolve());
      }),
  };
}

/** Runs the SQL that a cure gives. */
export const runSql = (doctor: DoctorStack, statement: string) => doctor.sql.unsafe(statement);

/** Stores a value in Vault, as the cure says. */
export async function storeInVault(doctor: DoctorStack, name: string, value: string): Promise<void> {
  await doctor.sql`delete from vault.secrets where name = ${name}`;
  await doctor.sql`select vault.create_secret(${value}, ${name})`;
}
