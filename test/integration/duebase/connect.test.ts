import { spawn } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { secretDigest } from "../../../scripts/duebase/connections/management.ts";
import { RESEND_EVENTS } from "../../../scripts/duebase/connections/resend.ts";
import { projectRoot } from "../../../scripts/local/project.ts";
import { createTestDatabase, type TestDatabase } from "../../support/database.ts";
import { functionsUrl, type Outside, projectRef, startOutside } from "../../support/duebase/outside.ts";
import { eventually } from "../../support/stack-project.ts";

const stripeUrl = `${functionsUrl}/duebase-stripe-webhook`;
const resendUrl = `${functionsUrl}/duebase-resend-webhook`;

let database: TestDatabase;
let outside: Outside;

beforeEach(async () => {
  database = await createTestDatabase();
  outside = await startOutside(database);
});
afterEach(async () => {
  await outside.close();
  await database.drop();
});

async function eventTypes(): Promise<string[]> {
  const rows = await database.sql`select distinct event_type from billing.event_handlers order by 1`;
  return rows.map(({ event_type }) => event_type);
}

async function vault(): Promise<Record<string, string>> {
  const rows = await database.sql`
    select name, decrypted_secret from vault.decrypted_secrets where name like 'duebase%' order by name`;
  return Object.fromEntries(rows.map(({ name, decrypted_secret }) => [name, decrypted_secret]));
}

async function enabledEndpoints(url = stripeUrl) {
  const { data } = await outside.stripe.webhookEndpoints.list({ limit: 100 });
  return data.filter((it) => it.url === url && it.status === "enabled");
}

/** Everything is as it should be: one endpoint each, and both sides have the same secrets. */
async function expectConnected(): Promise<void> {
  const secrets = outside.supabase.project.secrets;
  expect(outside.supabase.project.exposedSchemas).toEqual(["public", "graphql_public", "billing"]);
  expect(await vault()).toEqual({
    duebase_cron_secret: secrets.get("DUEBASE_CRON_SECRET"),
    duebase_functions_url: functionsUrl,
  });
  for (const name of ["DUEBASE_STRIPE_SECRET_KEY", "DUEBASE_RESEND_API_KEY", "DUEBASE_EMAIL_FROM"]) {
    expect(secrets.get(name), name).toBe(outside.env[name]);
  }
  const [endpoint, ...others] = await enabledEndpoints();
  expect(others).toEqual([]);
  expect([...(endpoint?.enabled_events ?? [])].sort()).toEqual(await eventTypes());
  const stripeSecret = secrets.get("DUEBASE_STRIPE_WEBHOOK_SECRET") ?? "";
  expect(endpoint?.metadata).toEqual({
    duebase_project: projectRef,
    duebase_secret_sha256: secretDigest(stripeSecret),
  });
  const webhooks = outside.inbox.endpoints.all().filter(({ status }) => status === "enabled");
  expect(webhooks).toMatchObject([{ endpoint: resendUrl, events: RESEND_EVENTS }]);
  expect(secrets.get("DUEBASE_RESEND_WEBHOOK_SECRET")).toBe(webhooks[0]?.signing_secret);
}

/** Writing calls since the last look. */
function writes(): string[] {
  return [outside.supabase.ledger, outside.local.ledger, outside.inbox.ledger]
    .flatMap(({ requests }) => requests)
    .filter(({ method }) => method !== "GET")
    .map(({ method, path }) => `${method} ${path}`);
}

function clearLedgers(): void {
  for (const { ledger } of [outside.supabase, outside.local, outside.inbox]) ledger.clear();
}

describe("the address of alarms", () => {
  const address = "https://hooks.example.com/services/example";
  const known = async () => [
    (await vault()).duebase_alert_webhook_url,
    outside.supabase.project.secrets.get("DUEBASE_ALERT_WEBHOOK_URL"),
  ];

  test("goes to the functions and into Vault, as the database posts alarms itself", async () => {
    outside.env.DUEBASE_ALERT_WEBHOOK_URL = address;
    const { steps, output } = await outside.connect();
    expect(steps).toContain("vault-alert-url");
    expect(steps).toContain("DUEBASE_ALERT_WEBHOOK_URL");
    expect(output).not.toContain(address);
    expect(await known()).toEqual([address, address]);
    expect(await outside.connect()).toMatchObject({ exitCode: 0, steps: [], missing: [] });
  });

  test.each<[string, RegExp, () => unknown]>([
    [
      "the database alone",
      /the database knows .* and the functions do not/,
      () => outside.supabase.project.secrets.delete("DUEBASE_ALERT_WEBHOOK_URL"),
    ],
    [
      "the functions alone",
      /the functions know .* and the database does not/,
      () => database.sql`delete from vault.secrets where name = 'duebase_alert_webhook_url'`,
    ],
    [
      "both, but not the same one",
      /different addresses/,
      () => outside.supabase.project.secrets.set("DUEBASE_ALERT_WEBHOOK_URL", `${address}/another`),
    ],
  ])("that %s know is said, and mended by the next run that is given it", async (_what, said, lose) => {
    outside.env.DUEBASE_ALERT_WEBHOOK_URL = address;
    await outside.connect();
    await lose();
    delete outside.env.DUEBASE_ALERT_WEBHOOK_URL;
    const { exitCode, missing } = await outside.connect();
    expect([exitCode, missing]).toEqual([1, [expect.stringMatching(said)]]);
    outside.env.DUEBASE_ALERT_WEBHOOK_URL = address;
    expect(await outside.connect()).toMatchObject({ exitCode: 0, missing: [] });
    expect(await known()).toEqual([address, address]);
  });

  test.each([
    ["DUEBASE_ALERT_WEBHOOK_URL", "hooks.example.com", /no http\(s\) address/],
    ["DUEBASE_HEALTH_SECRET", "short", /too short/],
  ])("a %s that cannot be one is refused", async (name, value, said) => {
    outside.env[name] = value;
    const { exitCode, output } = await outside.connect();
    expect([exitCode, output]).toEqual([1, expect.stringMatching(said)]);
  });
});

describe("setting up", () => {
  test("with nothing there, one run sets up everything, and a second one finds nothing to do", async () => {
    const first = await outside.connect();
    expect(first).toMatchObject({ exitCode: 0, missing: [] });
    expect(first.steps).toEqual([
      "exposed-schema",
      "vault-functions-url",
      "vault-cron-secret",
      "DUEBASE_CRON_SECRET",
      "DUEBASE_STRIPE_SECRET_KEY",
      "DUEBASE_RESEND_API_KEY",
      "DUEBASE_EMAIL_FROM",
      "stripe-endpoint",
      "resend-webhook",
    ]);
    await expectConnected();

    clearLedgers();
    expect(await outside.connect()).toMatchObject({ exitCode: 0, steps: [], missing: [], notes: [] });
    expect(writes()).toEqual([]);
    await expectConnected();
  });

  test("a dry run shows the plan and changes nothing", async () => {
    const { steps } = await outside.connect({ dryRun: true });
    expect(steps).toHaveLength(9);
    expect(writes()).toEqual([]);
    expect(await vault()).toEqual({});
  });

  test("nothing is done where nobody can say yes", async () => {
    const { exitCode, output } = await outside.connect({ yes: false });
    expect(exitCode).toBe(1);
    expect(output).toContain("--yes");
    expect(writes()).toEqual([]);
  });

  test("no secret is in what it says, not in its plan, its JSON or its errors", async () => {
    const texts = [(await outside.connect({ json: false })).output];
    outside.env.DUEBASE_STRIPE_SECRET_KEY = "sk_test_another_example";
    outside.supabase.faults.add({
      match: { method: "POST" },
      action: { kind: "error", status: 400, message: "sk_test_another_example is refused" },
    });
    texts.push((await outside.connect()).output);
    const { secrets } = outside.supabase.project;
    const secretNames = [...secrets.keys()].filter((name) => name !== "DUEBASE_EMAIL_FROM");
    const values = [...secretNames.map((name) => secrets.get(name) ?? ""), outside.supabase.accessToken];
    for (const value of [...values, "sk_test_another_example", database.url]) {
      for (const text of texts) expect(text).not.toContain(value);
    }
    expect(texts[1]).toContain("*** is refused");
  });
});

describe("each thing that is missing alone", () => {
  beforeEach(async () => {
    await outside.connect();
    clearLedgers();
  });

  test.each<[string, string[], () => unknown]>([
    ["the exposed schema", ["exposed-schema"], () => outside.supabase.project.exposedSchemas.pop()],
    [
      "the functions' address in Vault",
      ["vault-functions-url"],
      () => database.sql`delete from vault.secrets where name = 'duebase_functions_url'`,
    ],
    [
      "the cron secret in Vault, which cannot be read elsewhere and so is made anew on both sides",
      ["vault-cron-secret", "DUEBASE_CRON_SECRET"],
      () => database.sql`delete from vault.secrets where name = 'duebase_cron_secret'`,
    ],
    [
      "the cron secret of the functions, which is taken from Vault",
      ["DUEBASE_CRON_SECRET"],
      () => outside.supabase.project.secrets.delete("DUEBASE_CRON_SECRET"),
    ],
    [
      "a secret of the functions",
      ["DUEBASE_RESEND_API_KEY"],
      () => outside.supabase.project.secrets.delete("DUEBASE_RESEND_API_KEY"),
    ],
    [
      "the webhook secret in the project, which Stripe shows once: the endpoint is made anew",
      ["stripe-endpoint"],
      () => outside.supabase.project.secrets.delete("DUEBASE_STRIPE_WEBHOOK_SECRET"),
    ],
    [
      "the endpoint at Stripe",
      ["stripe-endpoint"],
      async () => outside.stripe.webhookEndpoints.del((await enabledEndpoints())[0]?.id ?? ""),
    ],
    [
      "an event type",
      ["stripe-event-types"],
      async () => {
        const [endpoint] = await enabledEndpoints();
        const events = endpoint?.enabled_events.filter((type) => type !== "invoice.paid") ?? [];
        await outside.stripe.webhookEndpoints.update(endpoint?.id ?? "", { enabled_events: events as "*"[] });
      },
    ],
    [
      "an endpoint that was disabled",
      ["stripe-endpoint-enabled"],
      async () => {
        const [endpoint] = await enabledEndpoints();
        await outside.stripe.webhookEndpoints.update(endpoint?.id ?? "", { disabled: true });
      },
    ],
    [
      "Resend's secret in the project, which Resend shows again",
      ["DUEBASE_RESEND_WEBHOOK_SECRET"],
      () => outside.supabase.project.secrets.delete("DUEBASE_RESEND_WEBHOOK_SECRET"),
    ],
    [
      "Resend's webhook",
      ["resend-webhook"],
      () => outside.inbox.endpoints.all().forEach((it) => void outside.inbox.endpoints.remove(it)),
    ],
  ])("%s", async (_what, steps, takeAway) => {
    await takeAway();
    expect(await outside.connect()).toMatchObject({ exitCode: 0, steps, missing: [] });
    await expectConnected();
    expect((await outside.connect()).steps).toEqual([]);
  });

  test("a function that is not deployed is named with the command that deploys it", async () => {
    await outside.supabase.project.remove("duebase-portal");
    const { exitCode, missing, output } = await outside.connect();
    expect(exitCode).toBe(1);
    expect(missing).toEqual(["not deployed: duebase-portal"]);
    expect(output).toContain(`npx supabase functions deploy duebase-portal --project-ref ${projectRef}`);
  });

  test("a changed key is set again, and nothing else is touched", async () => {
    outside.env.DUEBASE_STRIPE_SECRET_KEY = "sk_test_duebase_rolled_example";
    expect((await outside.connect()).steps).toEqual(["DUEBASE_STRIPE_SECRET_KEY"]);
    expect(writes()).toEqual([`POST /v1/projects/${projectRef}/secrets`]);
  });
});

describe("what others have", () => {
  test("endpoints and webhooks to other addresses, schemas and secrets stay as they are", async () => {
    const theirs = await outside.stripe.webhookEndpoints.create({
      url: "https://theirs.example/hook",
      enabled_events: ["*"],
    });
    outside.inbox.endpoints.add("https://theirs.example/resend", ["email.sent"], new Date());
    outside.supabase.project.exposedSchemas = ["public", "api", "graphql_public"];
    outside.supabase.project.secrets.set("STRIPE_WEBHOOK_SECRET", "whsec_theirs");
    await outside.connect();
    expect(await outside.stripe.webhookEndpoints.retrieve(theirs.id)).toMatchObject({
      status: "enabled",
      enabled_events: ["*"],
      metadata: {},
    });
    expect(outside.inbox.endpoints.all()).toHaveLength(2);
    expect(outside.supabase.project.exposedSchemas).toEqual(["public", "api", "graphql_public", "billing"]);
    expect(outside.supabase.project.secrets.get("STRIPE_WEBHOOK_SECRET")).toBe("whsec_theirs");
  });

  test("an endpoint that a person made, with its secret set, keeps both, and gets the types that are missing", async () => {
    const byHand = await outside.stripe.webhookEndpoints.create({
      url: stripeUrl,
      enabled_events: ["invoice.paid", "payout.paid"],
    });
    const rotating = `whsec_old,${byHand.secret}`;
    outside.supabase.project.secrets.set("DUEBASE_STRIPE_WEBHOOK_SECRET", rotating);
    const { steps } = await outside.connect();
    expect(steps).toContain("stripe-event-types");
    expect(steps).not.toContain("stripe-endpoint");
    const [kept] = await enabledEndpoints();
    expect(kept?.id).toBe(byHand.id);
    expect(new Set(kept?.enabled_events)).toEqual(new Set([...(await eventTypes()), "payout.paid"]));
    expect(outside.supabase.project.secrets.get("DUEBASE_STRIPE_WEBHOOK_SECRET")).toBe(rotating);
  });

  test("the cron secret is rotated in two runs, and cut off anywhere, cron is never refused", async () => {
    await outside.connect();
    const [before, after] = [
      outside.supabase.project.secrets.get("DUEBASE_CRON_SECRET") ?? "",
      "a-new-cron-secret-of-an-example",
    ];
    const expectAgreement = async () => {
      const taken = outside.supabase.project.secrets.get("DUEBASE_CRON_SECRET")?.split(",");
      expect(taken).toContain((await vault()).duebase_cron_secret);
    };
    for (const value of [`${before},${after}`, after]) {
      outside.env.DUEBASE_CRON_SECRET = value;
      for (let [call, done] = [1, false]; !done; call += 1) {
        outside.dieAt(call, call % 2 === 0);
        done = (await outside.connect()).exitCode === 0;
        outside.revive();
        await expectAgreement();
      }
      expect(outside.supabase.project.secrets.get("DUEBASE_CRON_SECRET")).toBe(value);
    }
    expect((await vault()).duebase_cron_secret).toBe(after);
    expect((await outside.connect()).steps).toEqual([]);
  });

  test("a second endpoint that a person made to our address is disabled, not deleted", async () => {
    await outside.connect();
    const second = await outside.stripe.webhookEndpoints.create({ url: stripeUrl, enabled_events: ["*"] });
    expect((await outside.connect()).steps).toEqual(["stripe-endpoint-removed"]);
    expect((await outside.stripe.webhookEndpoints.retrieve(second.id)).status).toBe("disabled");
    await expectConnected();
  });

  test("a thin endpoint to our address is told of", async () => {
    await outside.connect();
    await outside.stripe.v2.core.eventDestinations.create({
      name: "by hand",
      type: "webhook_endpoint",
      event_payload: "thin",
      enabled_events: ["*"],
      webhook_endpoint: { url: stripeUrl },
    });
    const { notes, steps } = await outside.connect();
    expect(notes.join()).toContain("thin events");
    expect(steps).toEqual([]);
  });
});

describe("modes and keys", () => {
  test("a live key turns on live mode, unless events of test mode are stored", async () => {
    const live = "sk_live_duebase_example";
    // The local Stripe has no live mode: the key of this command alone would be refused as of another mode.
    outside.env.DUEBASE_STRIPE_SECRET_KEY = live;
    const { steps } = await outside.connect({ dryRun: true });
    expect(steps).toContain("livemode");
    await database.receive({
      id: "evt_example",
      object: "event",
      type: "customer.created",
      created: 1,
      livemode: false,
      api_version: "2026-10-28.endive",
      data: { object: { id: "cus_example", object: "customer", created: 1, livemode: false } },
    });
    const again = await outside.connect({ dryRun: true });
    expect(again.steps).not.toContain("livemode");
    expect(again.missing.join()).toContain("holds events of test mode");
  });

  test("keys of two modes are refused before anything is done", async () => {
    outside.env.DUEBASE_CONNECT_STRIPE_KEY = "sk_live_duebase_example";
    expect((await outside.connect()).output).toContain("different modes");
    expect(writes()).toEqual([]);
  });

  test("a connected account is set, and its endpoint made for connected accounts", async () => {
    const { steps } = await outside.connect({ stripeAccount: "acct_example" });
    expect(steps).toContain("stripe-account");
    const { data } = await outside.stripe.v2.core.eventDestinations.list();
    expect(data).toMatchObject([{ events_from: ["@accounts"] }]);
  });

  test("a Stripe key that may not read endpoints is told which permission it lacks, and all else is set up", async () => {
    outside.local.faults.add({
      match: { path: "/v1/webhook_endpoints" },
      action: { kind: "forbidden", permission: "rak_webhook_read" },
    });
    const { exitCode, missing, steps } = await outside.connect();
    expect(exitCode).toBe(1);
    expect(missing.join()).toContain("it lacks rak_webhook_read");
    expect(steps).toContain("resend-webhook");
  });

  test("a Resend key that may only send is told so, and another one for this command alone will do", async () => {
    await outside.inbox.close();
    const { startInbox } = await import("../../../scripts/local/inbox/server.ts");
    const sendingKey = outside.env.DUEBASE_RESEND_API_KEY ?? "";
    outside.inbox = await startInbox({
      port: 0,
      mailbox: false,
      sendingKeys: [sendingKey],
      ratePerSecond: 1000,
    });
    outside.env.DUEBASE_RESEND_BASE_URL = outside.inbox.apiUrl;
    expect((await outside.connect()).missing.join()).toContain("may only send");
    outside.env.DUEBASE_CONNECT_RESEND_KEY = "re_full_example";
    expect((await outside.connect()).steps).toEqual(["resend-webhook"]);
    await expectConnected();
  });

  test.each([
    ["project_admin_read", "Project Settings (read)"],
    ["edge_functions_secrets_read", "Edge Function Secrets (read)"],
    ["data_api_config_write", "Data API Config (read-write)"],
    ["edge_functions_secrets_write", "Edge Function Secrets (read-write)"],
  ] as const)("an access token without %s is told to need %s", async (permission, name) => {
    outside.supabase.permissions.delete(permission);
    const { exitCode, output } = await outside.connect();
    expect(exitCode).toBe(1);
    expect(output).toContain(name);
    outside.supabase.permissions.add(permission);
    await outside.connect();
    await expectConnected();
  });

  test("an account with sixteen endpoints, one of them a lost one of ours, is mended", async () => {
    await outside.connect();
    outside.supabase.project.secrets.delete("DUEBASE_STRIPE_WEBHOOK_SECRET");
    const [lost] = await enabledEndpoints();
    await outside.stripe.webhookEndpoints.update(lost?.id ?? "", { metadata: { duebase_secret_sha256: "" } });
    for (let number = 1; number < 16; number += 1) {
      await outside.stripe.webhookEndpoints.create({
        url: `https://theirs.example/${number}`,
        enabled_events: ["*"],
      });
    }
    expect((await outside.connect()).steps).toEqual(["stripe-endpoint"]);
    await expectConnected();
  });
});

describe("interrupted", () => {
  test("by a death at any call, done or not, the next run puts it right and leaves one endpoint", async () => {
    await outside.connect();
    const calls = outside.calls();
    expect(calls).toBeGreaterThan(12);
    for (let call = 1; call <= calls; call += 1) {
      for (const isDone of [false, true]) {
        await startAfresh();
        outside.dieAt(call, isDone);
        await outside.connect();
        outside.revive();
        const { exitCode } = await outside.connect();
        expect(exitCode, `after a death at call ${call}${isDone ? ", which was done" : ""}`).toBe(0);
        await expectConnected();
      }
    }
    expect((await outside.connect()).steps).toEqual([]);
  }, 300_000);

  test("by SIGKILL between the endpoint and its secret, the next run makes the endpoint anew", async () => {
    outside.supabase.project.secrets.set("DUEBASE_CRON_SECRET", "x");
    // The endpoint is made; the call that would store its secret hangs.
    outside.supabase.faults.add({
      match: { method: "POST", path: /\/secrets$/ },
      // Cron secret and the three given ones come first.
      skip: 4,
      action: { kind: "hang" },
    });
    const child = spawn(
      process.execPath,
      [
        "--import",
        "tsx",
        join(projectRoot, "scripts/duebase.ts"),
        "connect",
        "--yes",
        "--json",
        "--dir",
        outside.directory,
      ],
      { env: { PATH: process.env.PATH, ...outside.env }, cwd: projectRoot, stdio: "ignore" },
    );
    const ended = once(child, "exit");
    await eventually("the call that hangs", () => outside.supabase.faults.pending === 0, 60_000);
    child.kill("SIGKILL");
    await ended;
    const [lost] = await enabledEndpoints();
    expect(lost?.metadata).toEqual({ duebase_project: projectRef });

    const again = await eventually("the lock of the killed run is gone", async () => {
      const result = await outside.connect();
      return result.output.includes("Another duebase connect") ? false : result;
    });
    expect(again.steps).toEqual(["stripe-endpoint", "resend-webhook"]);
    await expectConnected();
    await expect(outside.stripe.webhookEndpoints.retrieve(lost?.id ?? "")).rejects.toMatchObject({
      statusCode: 404,
    });
  }, 120_000);

  test("two runs at once: one works, the other says so", async () => {
    const results = await Promise.all([outside.connect(), outside.connect()]);
    expect(results.map(({ exitCode }) => exitCode).sort()).toEqual([0, 1]);
    await expectConnected();
  });
});

test("a webhook is made anew when a person asks, and the old endpoint goes last", async () => {
  await outside.connect();
  const [before] = await enabledEndpoints();
  const secret = outside.supabase.project.secrets.get("DUEBASE_STRIPE_WEBHOOK_SECRET");
  expect((await outside.connect({ renew: "stripe" })).steps).toEqual(["stripe-endpoint"]);
  const [after] = await enabledEndpoints();
  expect(after?.id).not.toBe(before?.id);
  expect(outside.supabase.project.secrets.get("DUEBASE_STRIPE_WEBHOOK_SECRET")).not.toBe(secret);
  expect((await outside.connect({ renew: "resend" })).steps).toEqual(["resend-webhook"]);
  await expectConnected();
});

/** Takes away everything that a run made. */
async function startAfresh(): Promise<void> {
  outside.revive();
  for (const { id } of (await outside.stripe.webhookEndpoints.list({ limit: 100 })).data) {
    await outside.stripe.webhookEndpoints.del(id);
  }
  for (const webhook of outside.inbox.endpoints.all()) outside.inbox.endpoints.remove(webhook);
  outside.supabase.project.secrets.clear();
  outside.supabase.project.exposedSchemas = ["public", "graphql_public"];
  await database.sql`delete from vault.secrets where name like 'duebase%'`;
}
