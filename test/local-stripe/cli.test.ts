import { execFile } from "node:child_process";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { afterAll, beforeAll, expect, test } from "vitest";
import { type Harness, secretKey, startHarness } from "./support/harness.ts";

const run = promisify(execFile);
const cli = join(import.meta.dirname, "../../node_modules/.bin/stripe");

let harness: Harness;
let config: string;

beforeAll(async () => {
  config = await mkdtemp(join(tmpdir(), "stripe-cli-"));
  harness = await startHarness();
});
afterAll(async () => {
  await harness.close();
  await rm(config, { recursive: true });
});

function stripeCli(...args: string[]): Promise<{ stdout: string }> {
  return run(cli, [...args, "--api-base", harness.local.url, "--api-key", secretKey], {
    timeout: 50_000,
    env: { PATH: process.env.PATH, HOME: config, XDG_CONFIG_HOME: config, STRIPE_CLI_TELEMETRY_OPTOUT: "1" },
  });
}

/** Every event type of the handled ones that the CLI has a trigger for, and a few more. */
const triggers = [
  "billing_portal.configuration.created",
  "billing_portal.configuration.updated",
  "billing_portal.session.created",
  "charge.captured",
  "charge.dispute.closed",
  "charge.dispute.created",
  "charge.dispute.updated",
  "charge.failed",
  "charge.refund.updated",
  "charge.refunded",
  "charge.succeeded",
  "checkout.session.async_payment_failed",
  "checkout.session.async_payment_succeeded",
  "checkout.session.completed",
  "checkout.session.expired",
  "coupon.created",
  "coupon.deleted",
  "coupon.updated",
  "customer.created",
  "customer.deleted",
  "customer.discount.created",
  "customer.discount.deleted",
  "customer.discount.updated",
  "customer.source.created",
  "customer.source.updated",
  "customer.subscription.created",
  "customer.subscription.deleted",
  "customer.subscription.paused",
  "customer.subscription.trial_will_end",
  "customer.subscription.updated",
  "customer.updated",
  "invoice.created",
  "invoice.deleted",
  "invoice.finalized",
  "invoice.marked_uncollectible",
  "invoice.paid",
  "invoice.payment_action_required",
  "invoice.payment_failed",
  "invoice.payment_succeeded",
  "invoice.sent",
  "invoice.updated",
  "invoice.voided",
  "invoiceitem.created",
  "invoiceitem.deleted",
  "payment_intent.amount_capturable_updated",
  "payment_intent.canceled",
  "payment_intent.created",
  "payment_intent.payment_failed",
  "payment_intent.processing",
  "payment_intent.requires_action",
  "payment_intent.succeeded",
  "payment_method.attached",
  "payment_method.detached",
  "payment_method.updated",
  "plan.created",
  "plan.deleted",
  "plan.updated",
  "price.created",
  "price.updated",
  "product.created",
  "product.deleted",
  "product.updated",
  "promotion_code.created",
  "promotion_code.updated",
  "setup_intent.canceled",
  "setup_intent.created",
  "setup_intent.requires_action",
  "setup_intent.setup_failed",
  "setup_intent.succeeded",
  "tax_rate.created",
  "tax_rate.updated",
  "test_helpers.test_clock.advancing",
  "test_helpers.test_clock.created",
  "test_helpers.test_clock.deleted",
  "test_helpers.test_clock.ready",
];

/** What the CLI can trigger and this server does not do. */
const notPlayed =
  /^(account|balance|cash_balance|credit_note|customer_cash|identity|issuing|payment_link|payout|quote|reporting|subscription_schedule|topup|transfer|v1)[._]|^payment_intent\.partially_funded$|^subscription\.payment/;

test("the list below is every trigger the CLI has, but for resources this server does not play", async () => {
  const { stdout } = await run(cli, ["trigger", "--help"], { env: { PATH: process.env.PATH, HOME: config } });
  const known = stdout
    .split("\n")
    .map((line) => line.trim())
    .filter((line) => /^[a-z0-9_]+(\.[a-z0-9_]+)+$/.test(line) && !notPlayed.test(line));
  expect(known).toEqual(triggers);
});

test.each(triggers)("stripe trigger %s succeeds, and that event is delivered", async (type) => {
  const { endpoint } = harness;
  const before = endpoint.received.length;
  const { stdout } = await stripeCli("trigger", type);
  expect(stdout).toContain("Trigger succeeded");
  await expect.poll(() => endpoint.types().slice(before), { timeout: 15_000 }).toContain(type);
});

test.each(["subscription.payment_succeeded", "subscription.payment_failed"])(
  "stripe trigger %s plays a whole subscription",
  async (name) => {
    const { endpoint } = harness;
    const before = endpoint.received.length;
    await stripeCli("trigger", name);
    const expected = name.replace("subscription", "invoice");
    await expect.poll(() => endpoint.types().slice(before), { timeout: 15_000 }).toContain(expected);
  },
);

test("resource commands create, list and read", async () => {
  const { stdout } = await stripeCli("customers", "create", "--name", "From the CLI", "-d", "metadata[a]=b");
  const customer = JSON.parse(stdout) as { id: string; metadata: object };
  expect(customer.metadata).toEqual({ a: "b" });
  const listed = await stripeCli("customers", "list", "--limit", "1");
  expect(JSON.parse(listed.stdout)).toMatchObject({ data: [{ id: customer.id }] });
  const read = await stripeCli("get", `/v1/customers/${customer.id}`);
  expect(JSON.parse(read.stdout)).toMatchObject({ name: "From the CLI" });
});
