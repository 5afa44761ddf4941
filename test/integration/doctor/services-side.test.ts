import type Stripe from "stripe";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { readResend } from "../../../scripts/duebase/doctor/resend.ts";
import { readStripe } from "../../../scripts/duebase/doctor/stripe.ts";
import { localKeys } from "../../../scripts/local/keys.ts";
import { type LocalStripe, startLocalStripe } from "../../../scripts/local/stripe/server.ts";
import { eventually } from "../../support/stack-project.ts";
import {
  backfill,
  type DoctorStack,
  type Misconfiguration,
  runSql,
  startDoctorStack,
  tryOut,
} from "./doctor-stack.ts";

let doctor: DoctorStack;
let otherAccount: LocalStripe;
beforeAll(async () => {
  [doctor, otherAccount] = await Promise.all([startDoctorStack(), startLocalStripe({ port: 0 })]);
}, 180_000);
afterAll(() => Promise.all([doctor?.close(), otherAccount?.close()]));

type EventType = Stripe.WebhookEndpointCreateParams.EnabledEvent;
const address = (it: DoctorStack) => `${it.stack.status.FUNCTIONS_URL}/duebase-stripe-webhook`;
const answerYes = (question: string) => (it: DoctorStack) =>
  it.sql`select billing_private.record_setup_answer(${question}, true, now())`;
const forbid = (path: RegExp, permission: string) => (it: DoctorStack) =>
  Promise.resolve(
    it.stack.stripe.faults.add({ match: { path }, times: 1, action: { kind: "forbidden", permission } }),
  );
const setDomain = (name: string, status: "verified" | "pending") => (it: DoctorStack) => {
  it.stack.inbox.domains.splice(0, it.stack.inbox.domains.length, { name, status });
  return Promise.resolve();
};
/** As `duebase connect` does: makes one, and hands its secret to the functions. */
const makeEndpoint = async (it: DoctorStack) => {
  const { secret } = await it.stripe.webhookEndpoints.create({ url: address(it), enabled_events: ["*"] });
  it.env.DUEBASE_STRIPE_WEBHOOK_SECRET = secret;
  await it.stack.functions.setSecrets({ DUEBASE_STRIPE_WEBHOOK_SECRET: secret });
};
const changeWebhook = (change: object) => async (it: DoctorStack) => {
  const { endpoints } = it.stack.inbox;
  for (const one of endpoints.all()) endpoints.change(one, change);
};
const canceled = (id: string) => ({
  id: `evt_${id}`,
  object: "event",
  type: "customer.subscription.deleted",
  livemode: false,
  api_version: "2026-10-28.endive",
  created: Math.floor(Date.now() / 1000),
  data: {
    object: {
      id,
      object: "subscription",
      customer: "cus_ended",
      status: "canceled",
      cancel_at_period_end: false,
      cancellation_details: { reason: "payment_failed", comment: null, feedback: null },
      ended_at: Math.floor(Date.now() / 1000),
      canceled_at: Math.floor(Date.now() / 1000),
      created: 1_790_000_000,
      currency: "usd",
      livemode: false,
      metadata: {},
      items: { object: "list", data: [], has_more: false },
    },
  },
});
const receive = (it: DoctorStack, event: object) =>
  it.sql`select billing.receive_event(${it.sql.json(event as never)})`;

const atStripe: Misconfiguration[] = [
  {
    what: "the project mirrors the other mode",
    check: "stripe_key",
    light: "red",
    says: /livemode is true, and this command.s key is a test key/,
    cure: /update billing\.settings set livemode = false/,
    set: ({ sql }) => sql`update billing.settings set livemode = true where id`,
    follow: (it, { cure }) => runSql(it, (cure ?? "").split(";")[0] ?? ""),
  },
  {
    what: "the functions' key is of the other mode",
    check: "stripe_key",
    light: "red",
    says: /the functions have a live key/,
    cure: /supabase secrets set DUEBASE_STRIPE_SECRET_KEY/,
    set: ({ stack }) => stack.functions.setSecrets({ DUEBASE_STRIPE_SECRET_KEY: "sk_live_example" }),
    follow: ({ stack }) =>
      stack.functions.setSecrets({ DUEBASE_STRIPE_SECRET_KEY: localKeys.stripeSecretKey }),
  },
  {
    what: "the functions' key is of another account",
    check: "stripe_key",
    light: "red",
    says: /a Stripe key of another account/,
    cure: /supabase secrets set DUEBASE_STRIPE_SECRET_KEY/,
    set: ({ stack }) => stack.functions.setSecrets({ DUEBASE_STRIPE_API_URL: otherAccount.url }),
    follow: ({ stack }) =>
      stack.functions.setSecrets({ DUEBASE_STRIPE_API_URL: stack.status.STRIPE_API_URL }),
  },
  {
    what: "Stripe does not know the functions' key",
    check: "stripe_key",
    light: "red",
    says: /Stripe does not take the functions. key/,
    cure: /supabase secrets set DUEBASE_STRIPE_SECRET_KEY/,
    set: ({ stack }) => stack.functions.setSecrets({ DUEBASE_STRIPE_SECRET_KEY: "nonsense" }),
    follow: ({ stack }) =>
      stack.functions.setSecrets({ DUEBASE_STRIPE_SECRET_KEY: localKeys.stripeSecretKey }),
  },
  {
    what: "Stripe does not know this command's key",
    check: "stripe_key",
    light: "red",
    says: /Stripe does not take the key of this command/,
    cure: /take a key of this account from/,
    set: async () => {},
    follow: async () => {},
    given: ({ stack }) => ({ stripe: readStripe("nonsense", stack.status.STRIPE_API_URL) }),
  },
  {
    what: "Stripe has no endpoint for this project",
    check: "stripe_endpoint",
    light: "red",
    says: /no webhook endpoint for/,
    cure: /npx duebase connect/,
    set: async (it) => it.stripe.webhookEndpoints.del((await it.endpoint()).id),
    follow: makeEndpoint,
  },
  {
    what: "the endpoint leads to another project",
    check: "stripe_endpoint",
    light: "red",
    says: /Stripe sends events to https:\/\/other/,
    cure: /set the URL at/,
    set: async (it) =>
      it.stripe.webhookEndpoints.update((await it.endpoint()).id, {
        url: "https://other.supabase.co/functions/v1/duebase-stripe-webhook",
      }),
    follow: async (it) => it.stripe.webhookEndpoints.update((await it.endpoint()).id, { url: address(it) }),
  },
  {
    what: "the endpoint is disabled",
    check: "stripe_endpoint",
    light: "red",
    says: /the endpoint is disabled/,
    cure: /enable it at/,
    set: async (it) => it.stripe.webhookEndpoints.update((await it.endpoint()).id, { disabled: true }),
    follow: async (it) => it.stripe.webhookEndpoints.update((await it.endpoint()).id, { disabled: false }),
  },
  {
    what: "the endpoint lacks types",
    check: "stripe_endpoint",
    light: "red",
    says: /does not send .*invoice\.paid/,
    cure: /npx duebase connect adds them/,
    set: async (it) => {
      const types = await it.sql<{ type: EventType }[]>`
        select distinct event_type as type from billing.event_handlers where event_type not in ('invoice.paid', 'refund.failed')`;
      return it.stripe.webhookEndpoints.update((await it.endpoint()).id, {
        enabled_events: types.map(({ type }) => type),
      });
    },
    follow: async (it, { says }) => {
      const missing = says.replace(/^.*does not send /, "").split(", ") as EventType[];
      const endpoint = await it.endpoint();
      return it.stripe.webhookEndpoints.update(endpoint.id, {
        enabled_events: [...endpoint.enabled_events, ...missing] as EventType[],
      });
    },
  },
  {
    what: "the endpoint sends thin events",
    check: "stripe_endpoint",
    light: "red",
    says: /Stripe sends thin events here/,
    cure: /snapshot payloads/,
    set: async (it) => {
      await it.stripe.webhookEndpoints.del((await it.endpoint()).id);
      await it.stripe.v2.core.eventDestinations.create({
        name: "Thin",
        type: "webhook_endpoint",
        event_payload: "thin",
        enabled_events: ["v1.billing.meter.error_report_triggered"],
        webhook_endpoint: { url: address(it) },
      });
    },
    follow: async (it) => {
      const { data } = await it.stripe.v2.core.eventDestinations.list();
      for (const { id, event_payload } of data) {
        if (event_payload === "thin") await it.stripe.v2.core.eventDestinations.del(id);
      }
      await makeEndpoint(it);
    },
  },
  {
    what: "two endpoints lead here",
    check: "stripe_endpoint",
    light: "amber",
    says: /2 endpoints at Stripe have this URL/,
    cure: /remove all but one/,
    set: (it) => it.stripe.webhookEndpoints.create({ url: address(it), enabled_events: ["*"] }),
    // The list is newest first.
    follow: async (it) => it.stripe.webhookEndpoints.del((await it.endpoint()).id),
  },
  ...[
    [
      "stripe_key",
      /^\/v1\/account$/,
      "rak_accounts_kyc_basic_read",
      /the account was not looked at/,
      /Basic account: Read/,
    ],
    [
      "stripe_endpoint",
      /^\/v1\/webhook_endpoints$/,
      "rak_webhook_read",
      /endpoint was not looked at/,
      /Webhook Endpoints: Read \(rak_webhook_read\)/,
    ],
    [
      "stripe_deliveries",
      /^\/v1\/events$/,
      "rak_event_read",
      /events arrive was not looked at/,
      /Events: Read/,
    ],
    ["history", /^\/v1\/subscriptions$/, "rak_subscription_read", /was not looked at/, /Subscriptions: Read/],
  ].map(
    ([check, path, permission, says, cure]): Misconfiguration => ({
      what: `the key may not look: ${permission}`,
      check: check as string,
      light: "amber",
      says: says as RegExp,
      cure: cure as RegExp,
      set: forbid(path as RegExp, permission as string),
      follow: async ({ stack }) => stack.stripe.faults.clear(),
    }),
  ),
  {
    what: "Stripe ends subscriptions by its own retries",
    check: "stripe_retries",
    light: "red",
    says: /Stripe itself ended 1 subscriptions after its retries, such as sub_ended/,
    cure: /leave the subscription past-due.*--answer stripe_retries=yes/,
    set: (it) => receive(it, canceled("sub_ended")),
    follow: answerYes("stripe_retries"),
  },
  ...["stripe_retries", "stripe_emails"].map(
    (question): Misconfiguration => ({
      what: `${question} is not set right, as the operator says`,
      check: question,
      light: "red",
      says: /not set right, as you said on \d{4}-\d\d-\d\d/,
      cure: /https:\/\/dashboard\.stripe\.com\/settings\/.*npx duebase doctor --answer/,
      set: async (it) => {
        await it.sql`delete from billing.subscriptions where id = 'sub_ended'`;
        await it.sql`select billing_private.record_setup_answer(${question}, false, now())`;
      },
      follow: answerYes(question),
    }),
  ),
  {
    what: "a question was never answered",
    check: "stripe_emails",
    light: "amber",
    says: /not asked yet/,
    cure: /https:\/\/dashboard\.stripe\.com/,
    set: ({ sql }) => sql`delete from billing.setup_answers where question = 'stripe_emails'`,
    follow: answerYes("stripe_emails"),
  },
  {
    what: "a backfill was never run",
    check: "history",
    light: "red",
    says: /^a backfill was never run/,
    cure: /run duebase backfill/,
    set: ({ sql }) => sql`delete from billing.history_runs`,
    follow: ({ sql, stack }) => backfill(sql, stack.status.STRIPE_API_URL),
  },
  {
    what: "a backfill was begun and not ended",
    check: "history",
    light: "red",
    says: /^a backfill has begun and is not complete/,
    cure: /run duebase backfill until it is complete/,
    set: ({ sql }) =>
      sql`update billing.history_runs set status = 'stopped', problem = 'a person ended it' where kind = 'backfill'`,
    follow: ({ sql, stack }) => backfill(sql, stack.status.STRIPE_API_URL),
  },
  {
    what: "subscriptions from before are not here",
    check: "history",
    light: "red",
    says: /1 of Stripe.s newest subscriptions are not here/,
    cure: /npx duebase backfill/,
    set: async (it) => {
      const price = await it.stripe.prices.create({
        currency: "usd",
        unit_amount: 500,
        recurring: { interval: "month" },
        product_data: { name: "Pro" },
      });
      const customer = await it.stripe.customers.create({
        payment_method: "pm_card_visa",
        invoice_settings: { default_payment_method: "pm_card_visa" },
      });
      const { id } = await it.stripe.subscriptions.create({
        customer: customer.id,
        items: [{ price: price.id }],
      });
      await eventually(
        "it is here",
        async () => (await it.sql`select from billing.subscriptions where id = ${id}`).length > 0,
      );
      await it.sql`create table public.kept as select * from billing.subscriptions where id = ${id}`;
      await it.sql`delete from billing.subscriptions where id = ${id}`;
    },
    follow: async (it) => {
      await it.sql`insert into billing.subscriptions select * from public.kept`;
      await it.sql`drop table public.kept`;
    },
  },
  {
    what: "who has access in the application's own table would lose it",
    check: "access",
    light: "amber",
    says: /1 have access in your table and would lose it, such as 0c0ffee0-\S+ to reports/,
    cure: /npx duebase backfill --report-only.*--links-query/,
    set: async () => {},
    follow: async () => {},
    change: {
      accessQuery: "select '0c0ffee0-1111-4222-8333-944455556666' as owner_id, 'reports' as feature",
    },
  },
  {
    what: "who pays belongs to nobody",
    check: "access",
    light: "amber",
    says: /1 customers with a running subscription belong to nobody, such as cus_/,
    cure: /billing\.link_customers/,
    set: async () => {},
    follow: (it) =>
      it.sql`
        update billing.customers set owner_id = gen_random_uuid()
        where id in (select customer from billing.subscriptions where status = 'active')`,
  },
];

const atResend: Misconfiguration[] = [
  {
    what: "Resend does not know the functions' key",
    check: "resend_sender",
    light: "red",
    says: /Resend does not take the functions. key/,
    cure: /supabase secrets set DUEBASE_RESEND_API_KEY/,
    set: ({ stack }) => stack.functions.setSecrets({ DUEBASE_RESEND_API_KEY: "re_other_example" }),
    follow: ({ stack }) => stack.functions.setSecrets({ DUEBASE_RESEND_API_KEY: localKeys.resendApiKey }),
  },
  {
    what: "Resend does not know this command's key",
    check: "resend_sender",
    light: "red",
    says: /Resend does not take the key of this command/,
    cure: /https:\/\/resend\.com\/api-keys/,
    set: async () => {},
    follow: async () => {},
    given: ({ stack }) => ({ resend: readResend("re_other_example", stack.inbox.apiUrl) }),
  },
  {
    what: "the sender's domain is not verified",
    check: "resend_sender",
    light: "red",
    says: /example\.com is not verified with Resend \(pending\)/,
    cure: /DNS records/,
    set: setDomain("example.com", "pending"),
    follow: setDomain("example.com", "verified"),
  },
  {
    what: "Resend does not have the sender's domain",
    check: "resend_sender",
    light: "red",
    says: /Resend has no domain example\.com/,
    cure: /add it at/,
    set: setDomain("other.example", "verified"),
    follow: setDomain("example.com", "verified"),
  },
  {
    what: "the sender is no address",
    check: "resend_sender",
    light: "red",
    says: /is no address/,
    cure: /update billing\.settings set email_from/,
    set: ({ sql }) => sql`update billing.settings set email_from = 'Acme' where id`,
    follow: ({ sql }) => sql`update billing.settings set email_from = 'Acme <billing@example.com>' where id`,
  },
  {
    what: "Resend has no webhook for this project",
    check: "resend_webhook",
    light: "red",
    says: /Resend has no webhook for/,
    cure: /npx duebase connect/,
    set: ({ stack: { inbox } }) =>
      Promise.resolve(inbox.endpoints.all().map((one) => inbox.endpoints.remove(one))),
    follow: async ({ stack: { inbox, status } }) =>
      inbox.endpoints.add(`${status.FUNCTIONS_URL}/duebase-resend-webhook`, null, new Date()),
  },
  {
    what: "Resend's webhook is disabled",
    check: "resend_webhook",
    light: "red",
    says: /Resend.s webhook is disabled/,
    cure: /enable it at/,
    set: changeWebhook({ status: "disabled" }),
    follow: changeWebhook({ status: "enabled" }),
  },
  {
    what: "Resend's webhook lacks types",
    check: "resend_webhook",
    light: "red",
    says: /does not send .*email\.bounced/,
    cure: /add them at/,
    set: changeWebhook({ events: ["email.sent", "email.delivered"] }),
    follow: changeWebhook({ events: null }),
  },
  {
    what: "Resend signs with another secret than the functions know",
    check: "resend_webhook",
    light: "red",
    says: /duebase-resend-webhook does not take/,
    cure: /supabase secrets set DUEBASE_RESEND_WEBHOOK_SECRET/,
    set: ({ stack }) => stack.functions.setSecrets({ DUEBASE_RESEND_WEBHOOK_SECRET: "whsec_b3RoZXI=" }),
    follow: ({ stack }) =>
      stack.functions.setSecrets({ DUEBASE_RESEND_WEBHOOK_SECRET: localKeys.resendWebhookSecret }),
  },
];

describe("set up wrongly at Stripe or Resend, doctor names it and the cure, and the cure mends it", () => {
  it.each([...atStripe, ...atResend].map((one) => [one.what, one] as const))(
    "%s",
    async (_what, one) => {
      await tryOut(doctor, one);
    },
    90_000,
  );

  it("Stripe signs with another secret than the functions know: its events do not arrive", async () => {
    // Stripe has given up by then; locally it is not waited for.
    const later = { now: () => Date.now() + 120_000 };
    await doctor.stack.functions.setSecrets({ DUEBASE_STRIPE_WEBHOOK_SECRET: "whsec_other_example" });
    const { id } = await doctor.stripe.customers.create({ name: "Lost" });
    const { results } = await doctor.diagnose(["stripe_deliveries"], later);
    expect(results).toEqual([
      expect.objectContaining({
        light: "red",
        says: expect.stringMatching(/Stripe.s last \d+ events did not arrive/),
        cure: expect.stringContaining(
          "DUEBASE_STRIPE_WEBHOOK_SECRET is not the endpoint\u2019s signing secret",
        ),
      }),
    ]);
    await doctor.stack.functions.setSecrets({
      DUEBASE_STRIPE_WEBHOOK_SECRET: doctor.env.DUEBASE_STRIPE_WEBHOOK_SECRET,
    });
    await eventually(
      "Stripe's retry is taken",
      async () => (await doctor.sql`select from billing.customers where id = ${id}`).length > 0,
      60_000,
    );
    expect((await doctor.diagnose(["stripe_deliveries"], later)).light).toBe("green");
  }, 120_000);

  it("without keys, or with one that may only send mail, it says what it could not look at", async () => {
    const { results } = await doctor.diagnose(
      ["stripe_key", "stripe_endpoint", "stripe_deliveries", "history", "resend_sender", "resend_webhook"],
      { stripe: undefined, resend: undefined },
    );
    expect(results.filter((one) => one.light === "red")).toEqual([]);
    const amber = results.filter((one) => one.light === "amber");
    expect(amber).toHaveLength(6);
    for (const { cure } of amber) expect(cure).toMatch(/DUEBASE_(STRIPE_SECRET|RESEND_API)_KEY/);
  }, 60_000);

  it("afterwards nothing is red", async () => {
    const { results } = await doctor.diagnose();
    expect(results.filter((one) => one.light === "red")).toEqual([]);
  }, 60_000);
});
