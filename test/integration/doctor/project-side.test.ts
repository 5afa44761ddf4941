import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { Lock } from "../../../scripts/duebase/project/lock.ts";
import { localKeys } from "../../../scripts/local/keys.ts";
import { projectRoot } from "../../../scripts/local/project.ts";
import { rowCounts } from "../../support/row-counts.ts";
import {
  type DoctorStack,
  type Misconfiguration,
  runSql,
  startDoctorStack,
  startStranger,
  storeInVault,
  tryOut,
} from "./doctor-stack.ts";

let doctor: DoctorStack;
beforeAll(async () => {
  doctor = await startDoctorStack();
}, 180_000);
afterAll(() => doctor?.close());

const secretKey = (name: string) => (localKeys as Record<string, string>)[name] ?? "";
const functionsUrl = () => doctor.stack.status.FUNCTIONS_URL;
const inVault = (url: string) => storeInVault(doctor, "duebase_functions_url", url);
const restoreUrl = () => inVault(functionsUrl());

describe("on a stack that is set up right", () => {
  it("nothing is red, and what is amber is what no API shows", async () => {
    const { light, results } = await doctor.diagnose();
    expect(results.filter((one) => one.light === "red")).toEqual([]);
    expect(results.filter((one) => one.light === "amber").map(({ check }) => check)).toEqual([
      "stripe_retries",
      "stripe_emails",
    ]);
    expect(light).toBe("amber");
  }, 60_000);

  it("doctor leaves no row in any table", async () => {
    const before = await rowCounts(doctor.sql);
    await doctor.diagnose();
    expect(await rowCounts(doctor.sql)).toEqual(before);
  }, 60_000);
});

/** As `duebase init` writes it. */
const LOCK: Lock = {
  release: "0.1.0",
  migrations: [],
  files: {},
  emails: false,
  config: { sections: [], schemas: [], hadSchemas: true, hadApi: true },
};
const customerCreated = (id: string, livemode: boolean) => ({
  id: `evt_${id}`,
  object: "event",
  type: "customer.created",
  created: Math.floor(Date.now() / 1000),
  livemode,
  api_version: "2026-10-28.endive",
  data: { object: { id, object: "customer", created: 1_790_000_000, livemode } },
});

const DEPLOY = /supabase functions deploy duebase-/;
const wrongs: Misconfiguration[] = [
  {
    what: "pg_net is not there",
    check: "clockwork",
    light: "red",
    says: /^pg_net is not there/,
    cure: /create extension pg_net/,
    set: ({ admin }) => admin`drop extension pg_net cascade`,
    follow: (it, { cure }) => runSql(it, cure ?? ""),
  },
  {
    what: "pg_net is not there, as the database's call sees it",
    check: "cron_round_trip",
    light: "red",
    says: /^pg_net is not there/,
    cure: /create extension pg_net/,
    set: ({ admin }) => admin`drop extension pg_net cascade`,
    follow: (it, { cure }) => runSql(it, cure ?? ""),
  },
  {
    what: "pg_cron is not there",
    check: "clockwork",
    light: "red",
    says: /^pg_cron is not there/,
    cure: /create extension pg_cron .*schedule_tick\(\), billing_private\.schedule_dunning\(\)/,
    set: ({ admin }) => admin`drop extension pg_cron cascade`,
    follow: (it, { cure }) => runSql(it, (cure ?? "").replace("; then: ", "; ")),
  },
  ...["duebase-tick", "duebase-dunning"].flatMap((job): Misconfiguration[] => [
    {
      what: `cron has no job ${job}`,
      check: "clockwork",
      light: "red",
      says: new RegExp(`no job ${job}`),
      cure: /select billing_private\.schedule_/,
      set: ({ sql }) => sql`select cron.unschedule(${job}::text)`,
      follow: (it, { cure }) => runSql(it, cure ?? ""),
    },
    {
      what: `cron job ${job} is paused`,
      check: "clockwork",
      light: "red",
      says: new RegExp(`${job} is paused`),
      cure: /select cron\.alter_job/,
      set: ({ sql }) =>
        sql`select cron.alter_job(jobid, active := false) from cron.job where jobname = ${job}`,
      follow: (it, { cure }) => runSql(it, cure ?? ""),
    },
  ]),
  {
    what: "no tick has come for minutes",
    check: "clockwork",
    light: "red",
    says: /the tick last ran at/,
    cure: /cron\.job_run_details/,
    async set({ sql, stack }) {
      // Paused, and run once, which waits for one that is under way: it would write its own time after ours.
      await sql`select cron.alter_job(jobid, active := false) from cron.job where jobname = 'duebase-tick'`;
      await stack.runCronJob("duebase-tick");
      await sql`update billing.tick_parts set last_tick_at = now() - interval '10 minutes'`;
      await sql`update billing.releases set installed_at = now() - interval '1 day'`;
    },
    async follow({ sql, stack }) {
      await sql`select cron.alter_job(jobid, active := true) from cron.job where jobname = 'duebase-tick'`;
      await stack.runCronJob("duebase-tick");
    },
  },
  {
    what: "Vault does not know where the functions are",
    check: "vault",
    light: "red",
    says: /no secret duebase_functions_url/,
    cure: /vault\.create_secret/,
    set: ({ sql }) => sql`delete from vault.secrets where name = 'duebase_functions_url'`,
    follow: restoreUrl,
  },
  {
    what: "Vault is not there",
    check: "vault",
    light: "red",
    says: /^Vault is not there/,
    cure: /create extension supabase_vault .*store duebase_functions_url and duebase_cron_secret/,
    set: ({ admin }) => admin`drop extension supabase_vault cascade`,
    async follow(it) {
      // The platform grants this to postgres wherever it enables the extension.
      await it.admin.unsafe(`
        create extension supabase_vault with schema vault;
        grant select, delete on vault.secrets, vault.decrypted_secrets to postgres with grant option;
        grant execute on function vault.create_secret, vault.update_secret to postgres with grant option`);
      await storeInVault(it, "duebase_cron_secret", localKeys.cronSecret);
      await restoreUrl();
    },
  },
  {
    what: "Vault has no cron secret",
    check: "cron_round_trip",
    light: "red",
    says: /no secret duebase_cron_secret/,
    cure: /store the DUEBASE_CRON_SECRET/,
    set: ({ sql }) => sql`delete from vault.secrets where name = 'duebase_cron_secret'`,
    follow: (it) => storeInVault(it, "duebase_cron_secret", localKeys.cronSecret),
  },
  {
    what: "the address in Vault is no http address",
    check: "vault",
    light: "red",
    says: /not an http\(s\) address/,
    cure: /it begins with https/,
    set: () => inVault("functions.example.com"),
    follow: restoreUrl,
  },
  {
    what: "pg_net refuses the address",
    check: "cron_round_trip",
    light: "red",
    says: /pg_net refuses the address/,
    cure: /duebase_functions_url in Vault/,
    set: () => inVault("https://functions.example.com:port"),
    follow: restoreUrl,
  },
  {
    what: "nothing answers at the address",
    check: "functions",
    light: "red",
    says: /nothing answers at/,
    cure: /correct duebase_functions_url/,
    set: () => inVault("http://127.0.0.1:1/functions/v1"),
    follow: restoreUrl,
  },
  {
    what: "nothing answers the database",
    check: "cron_round_trip",
    light: "red",
    says: /did not answer/,
    cure: /duebase_functions_url in Vault/,
    set: () => inVault("http://127.0.0.1:1/functions/v1"),
    follow: restoreUrl,
  },
  {
    what: "the cron secrets differ",
    check: "cron_round_trip",
    light: "red",
    says: /refuses the signature/,
    cure: /store the same under both/,
    set: (it) => storeInVault(it, "duebase_cron_secret", "another_example"),
    follow: (it) => storeInVault(it, "duebase_cron_secret", secretKey("cronSecret")),
  },
  ...["duebase-deliver", "duebase-portal"].map(
    (name): Misconfiguration => ({
      what: `${name} is not deployed`,
      check: "functions",
      light: "red",
      says: new RegExp(`${name} is not deployed`),
      cure: DEPLOY,
      set: ({ stack }) => stack.functions.undeploy(name),
      follow: ({ stack }) => stack.functions.deploy(name),
    }),
  ),
  {
    what: "duebase-deliver is not deployed, as the database sees it",
    check: "cron_round_trip",
    light: "red",
    says: /duebase-deliver is not deployed/,
    cure: DEPLOY,
    set: ({ stack }) => stack.functions.undeploy("duebase-deliver"),
    follow: ({ stack }) => stack.functions.deploy("duebase-deliver"),
  },
  {
    what: "duebase-deliver asks for a JWT",
    check: "functions",
    light: "red",
    says: /duebase-deliver is deployed with verify_jwt/,
    cure: /verify_jwt = false/,
    set: ({ stack }) => stack.functions.deploy("duebase-deliver", { verifyJwt: true }),
    follow: ({ stack }) => stack.functions.deploy("duebase-deliver"),
  },
  {
    what: "the platform refuses the database's call",
    check: "cron_round_trip",
    light: "red",
    says: /the platform refuses the call/,
    cure: /verify_jwt = false/,
    set: ({ stack }) => stack.functions.deploy("duebase-deliver", { verifyJwt: true }),
    follow: ({ stack }) => stack.functions.deploy("duebase-deliver"),
  },
  {
    what: "the platform refuses Stripe's webhooks",
    check: "webhook_round_trip",
    light: "red",
    says: /refuses webhooks before the function sees them/,
    cure: /verify_jwt = false/,
    set: ({ stack }) => stack.functions.deploy("duebase-stripe-webhook", { verifyJwt: true }),
    follow: ({ stack }) => stack.functions.deploy("duebase-stripe-webhook"),
  },
  {
    what: "a secret is missing, so a function does not start",
    check: "functions",
    light: "red",
    says: /duebase-resend-webhook does not start/,
    cure: /supabase secrets set/,
    set: ({ stack }) => stack.functions.setSecrets({ DUEBASE_RESEND_WEBHOOK_SECRET: undefined }),
    follow: ({ stack }) =>
      stack.functions.setSecrets({ DUEBASE_RESEND_WEBHOOK_SECRET: localKeys.resendWebhookSecret }),
  },
  {
    what: "the functions have no webhook secret",
    check: "webhook_round_trip",
    light: "red",
    says: /the functions have no DUEBASE_STRIPE_WEBHOOK_SECRET/,
    cure: /supabase secrets set DUEBASE_STRIPE_WEBHOOK_SECRET/,
    set: ({ stack }) => stack.functions.setSecrets({ DUEBASE_STRIPE_WEBHOOK_SECRET: undefined }),
    follow: ({ stack }) =>
      stack.functions.setSecrets({ DUEBASE_STRIPE_WEBHOOK_SECRET: localKeys.stripeWebhookSecret }),
  },
  {
    what: "this machine and the functions have different webhook secrets",
    check: "webhook_round_trip",
    light: "red",
    says: /does not take what is signed with this command/,
    cure: /supabase secrets set DUEBASE_STRIPE_WEBHOOK_SECRET/,
    set: ({ stack }) => stack.functions.setSecrets({ DUEBASE_STRIPE_WEBHOOK_SECRET: "whsec_other_example" }),
    follow: ({ stack }) =>
      stack.functions.setSecrets({ DUEBASE_STRIPE_WEBHOOK_SECRET: localKeys.stripeWebhookSecret }),
  },
  {
    what: "the functions may not call the database",
    check: "data_api",
    light: "red",
    says: /the functions do not reach the database/,
    cure: /exposed schemas/,
    set: ({ sql }) => sql`revoke usage on schema billing from service_role`,
    follow: ({ sql }) => sql`grant usage on schema billing to service_role`,
  },
  {
    what: "the database is of another release",
    check: "release",
    light: "red",
    says: /the database is of release 0\.0\.9/,
    cure: /supabase db push/,
    set: ({ sql }) =>
      sql`create or replace function billing.version() returns text language sql immutable set search_path = '' as $$ select '0.0.9' $$`,
    follow: ({ sql }) =>
      sql`create or replace function billing.version() returns text language sql immutable set search_path = '' as $$ select '0.1.0' $$`,
  },
  {
    what: "the files are of another release",
    check: "release",
    light: "red",
    says: /the files of this project are of release 0\.0\.9, the database of 0\.1\.0/,
    cure: /supabase db push --linked, then npx supabase functions deploy/,
    set: async () => {},
    follow: async () => {},
    change: { lock: { ...LOCK, release: "0.0.9" }, projectRoot },
  },
  {
    what: "a file of ours was changed",
    check: "release",
    light: "amber",
    says: /1 of our files were changed or removed, such as package\.json/,
    cure: /bring them back with git/,
    set: async () => {},
    follow: async () => {},
    change: { lock: { ...LOCK, files: { "package.json": "0".repeat(64) } }, projectRoot },
  },
  {
    what: "an event could not be projected",
    check: "jobs",
    light: "red",
    says: /1 events could not be projected \(refused by a test\)/,
    cure: /select billing\.replay_failed_webhook\(event_id\)/,
    async set({ sql }) {
      await sql.unsafe(`
        create function public.refuse() returns trigger language plpgsql as
          $$ begin raise exception 'refused by a test'; end $$;
        create trigger refuses before insert on billing.customers for each row execute function public.refuse()`);
      await sql`select billing.receive_event(${sql.json(customerCreated("cus_refused", false))})`;
      await sql`
        update billing.failed_webhooks set status = 'dead', next_attempt_at = null where status = 'retrying'`;
    },
    async follow({ sql }) {
      await sql`drop function public.refuse cascade`;
      await sql`select billing.replay_failed_webhook(event_id) from billing.failed_webhooks`;
    },
  },
  {
    what: "events of the other mode come here",
    check: "jobs",
    light: "red",
    says: /1 events of the last week do not belong here/,
    cure: /correct livemode or stripe_account in billing\.settings, then replay them/,
    set: ({ sql }) => sql`select billing.receive_event(${sql.json(customerCreated("cus_live", true))})`,
    async follow({ sql }) {
      await sql`update billing.settings set livemode = true where id`;
      await sql`select billing.replay_failed_webhook(event_id) from billing.failed_webhooks`;
      await sql`update billing.settings set livemode = false where id`;
    },
  },
  {
    what: "the database is asked to call the functions of another project",
    check: "vault",
    light: "red",
    says: /leads to the project local, and this is the database of abcdefghijklmnopqrst/,
    cure: /store https:\/\/abcdefghijklmnopqrst\.supabase\.co\/functions\/v1/,
    set: async () => {},
    follow: async () => {},
    change: { projectRef: "abcdefghijklmnopqrst" },
  },
  {
    what: "a job is kept from its work",
    check: "jobs",
    light: "red",
    says: /^link: it raised/,
    cure: /select \* from billing\.job_problems/,
    set: ({ sql }) => sql`select billing_private.record_job_problem('link', 'it raised', now())`,
    follow: ({ sql }) => sql`select billing_private.record_job_problem('link', null, now())`,
  },
  {
    what: "it is a copy",
    check: "mode",
    light: "red",
    says: /it is a copy/,
    cure: /npx duebase go-live/,
    set: ({ sql }) =>
      sql`update billing.settings set mode = 'live', project_ref = 'abcdefghijklmnopqrst' where id`,
    follow: ({ sql }) => sql`select billing.go_live('local')`,
  },
  {
    what: "the name is the default",
    check: "settings",
    light: "red",
    says: /app_name is still/,
    cure: /update billing\.settings set app_name/,
    set: ({ sql }) => sql`update billing.settings set app_name = default where id`,
    follow: (it, { cure }) => runSql(it, (cure ?? "").replace("\u2026", "Acme")),
  },
  {
    what: "links lead to this machine",
    check: "settings",
    light: "red",
    says: /app_url/,
    cure: /update billing\.settings set app_url/,
    set: async () => {},
    follow: (it, { cure }) => runSql(it, (cure ?? "").replace("\u2026", "https://acme.example.com")),
    change: { projectRef: "abcdefghijklmnopqrst" },
  },
  {
    what: "links to billing lead to this machine",
    check: "settings",
    light: "red",
    says: /billing_url/,
    cure: /update billing\.settings set billing_url/,
    set: ({ sql }) => sql`update billing.settings set billing_url = 'http://localhost:3000/billing' where id`,
    follow: (it, { cure }) => runSql(it, (cure ?? "").replace("\u2026", "https://acme.example.com/billing")),
    change: { projectRef: "abcdefghijklmnopqrst" },
  },
  {
    what: "there is no sender",
    check: "settings",
    light: "red",
    says: /email_from is not set/,
    cure: /update billing\.settings set email_from/,
    set: ({ sql }) => sql`update billing.settings set email_from = null where id`,
    follow: (it, { cure }) => runSql(it, (cure ?? "").replace("\u2026", "Acme <billing@example.com>")),
  },
];

describe("set up wrongly, doctor names it and the cure, and who follows the cure is told that it is right", () => {
  it.each(wrongs.map((one) => [one.what, one] as const))(
    "%s",
    async (_what, one) => {
      await tryOut(doctor, one);
    },
    90_000,
  );

  it("an address that leads to another server", async () => {
    const stranger = await startStranger(() => ({ status: 200, body: "{}" }));
    try {
      await tryOut(doctor, {
        what: "another server",
        check: "functions",
        light: "red",
        says: /is not Duebase \(200\)/,
        cure: /https:\/\/<project ref>/,
        set: () => inVault(stranger.url),
        follow: restoreUrl,
      });
    } finally {
      await stranger.close();
    }
  }, 60_000);

  it("functions of another release", async () => {
    const older = await startStranger(() => ({
      status: 405,
      body: "{}",
      headers: { "duebase-release": "0.0.9" },
    }));
    try {
      await tryOut(doctor, {
        what: "another release",
        check: "functions",
        light: "red",
        says: /duebase-\w+ is of release 0\.0\.9, not 0\.1\.0/,
        cure: DEPLOY,
        set: () => inVault(older.url),
        follow: restoreUrl,
      });
    } finally {
      await older.close();
    }
  }, 60_000);

  it("schema billing is not exposed", async () => {
    const stranger = await startStranger(() => ({
      status: 406,
      body: JSON.stringify({ code: "PGRST106", message: "Invalid schema: billing" }),
    }));
    try {
      await tryOut(doctor, {
        what: "not exposed",
        check: "data_api",
        light: "red",
        says: /not exposed/,
        cure: /exposed schemas/,
        set: ({ stack }) => stack.functions.setSecrets({ SUPABASE_URL: stranger.url }),
        follow: ({ stack }) => stack.functions.setSecrets({ SUPABASE_URL: stack.status.API_URL }),
      });
    } finally {
      await stranger.close();
    }
  }, 60_000);

  it("afterwards all is as it was", async () => {
    const { results } = await doctor.diagnose();
    expect(results.filter((one) => one.light === "red")).toEqual([]);
  }, 60_000);
});
