import { mkdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import manifest from "../../package.json" with { type: "json" };
import { advanceClock } from "../../scripts/local/stripe/buyer.ts";
import { type PackedLocal, packLocal } from "../support/packed-local.ts";
import { eventually, isListening } from "../support/stack-project.ts";
import { clientOf, day, start, startEndpoint, webhookSecret } from "./support/harness.ts";

// The package `duebase-local-stripe` as `npm pack` makes it, installed in a folder outside of this repository.

let packed: PackedLocal;

beforeAll(async () => {
  packed = await packLocal("stripe");
}, 240_000);
afterAll(() => packed?.remove());

test("its command plays a subscription over a failed payment, and signs what it tells of it", async () => {
  const endpoint = await startEndpoint();
  const told = ["--webhook-url", endpoint.url, "--webhook-secret", webhookSecret];
  const command = await packed.start("--port", "0", ...told);
  const stripe = clientOf({ port: Number(new URL(command.url).port) });
  expect(command.said).toContain(`--api-base ${command.url} --api-key sk_test_example`);

  const product = await stripe.products.create({ name: "Pro" });
  const recurring = { interval: "month" } as const;
  const price = await stripe.prices.create({
    product: product.id,
    currency: "usd",
    unit_amount: 2000,
    recurring,
  });
  const clock = await stripe.testHelpers.testClocks.create({ frozen_time: start });
  const card = "pm_card_chargeCustomerFail";
  const customer = await stripe.customers.create({ email: "ada@example.com", test_clock: clock.id });
  const method = await stripe.paymentMethods.attach(card, { customer: customer.id });
  const subscription = await stripe.subscriptions.create({
    customer: customer.id,
    default_payment_method: method.id,
    trial_period_days: 14,
    items: [{ price: price.id }],
  });
  await advanceClock(stripe, clock.id, start + 15 * day);
  expect((await stripe.subscriptions.retrieve(subscription.id)).status).toBe("past_due");
  await eventually("the failure is told of", () => endpoint.types().includes("invoice.payment_failed"));
  expect(await command.stop("SIGINT")).toBe(0);
  await endpoint.close();
}, 60_000);

test("a state file outlives the command, whatever signal ends it", async () => {
  const at = ["--port", "0", "--state-file", "state/stripe.json"];
  const first = await packed.start(...at);
  const { id } = await clientOf({ port: Number(new URL(first.url).port) }).customers.create({});
  expect(await first.stop("SIGTERM")).toBe(0);
  const second = await packed.start(...at);
  const found = await clientOf({ port: Number(new URL(second.url).port) }).customers.retrieve(id);
  expect(found.id).toBe(id);
  expect(await second.stop("SIGHUP")).toBe(0);
});

test("ends with npx, also where npx cannot say so", async () => {
  const command = await packed.startByNpx("--port", "0");
  const port = Number(new URL(command.url).port);
  expect(await isListening(port)).toBe(true);
  await command.stop("SIGKILL");
  await eventually("nothing listens any more", async () => !(await isListening(port)));
});

test("takes the one key that it was told, and no other", async () => {
  const command = await packed.start("--port", "0", "--api-key", "sk_test_example_the_one");
  const asked = (key: string) =>
    fetch(`${command.url}/v1/customers`, { headers: { authorization: `Bearer ${key}` } });
  expect((await asked("sk_test_example_the_one")).status).toBe(200);
  expect((await asked("sk_test_example_another")).status).toBe(401);
  await command.stop();
});

test.each([
  [["--port", "stripe"], "A port is a number from 0 to 65535."],
  [["--port", "65536"], "A port is a number from 0 to 65535."],
  [["--host", "0.0.0.0"], "It answers this machine only"],
  [["--host", "192.0.2.1"], "It answers this machine only"],
  [["--webhook-url", "example.com/hook"], "begins with http:// or https://"],
  [["--webhook-secret", webhookSecret], "--webhook-url, which is not given"],
  [["--api-key", "sk_live_example"], "begins with sk_test_ or rk_test_"],
  [["--prot", "1"], "Did you mean --port?"],
])("%j is wrong usage", async (args, words) => {
  const { code, err } = await packed.run(...args);
  expect(err).toContain(words);
  expect(code).toBe(2);
});

test("a port that is in use is said, with what to do", async () => {
  const command = await packed.start("--port", "0");
  const { port } = new URL(command.url);
  const { code, err } = await packed.run("--port", port);
  expect(err).toBe(
    `duebase-local-stripe: port ${port} of 127.0.0.1 is in use: end what listens there, or take another by --port (0: any that is free)\n`,
  );
  expect(code).toBe(1);
  await command.stop();
});

test("a state file that is another's is left as it is", async () => {
  await writeFile(join(packed.folder, "theirs.json"), '{ "name": "something else" }');
  await writeFile(join(packed.folder, "theirs.txt"), "something else");
  await mkdir(join(packed.folder, "folder"), { recursive: true });
  for (const [file, words] of [
    ["theirs.json", /theirs\.json is no state of this version .*delete it to start afresh/],
    ["theirs.txt", /theirs\.txt is no state of the local Stripe: delete it to start afresh/],
    ["folder", /the state file cannot be read: .*EISDIR/],
    ["theirs.txt/below.json", /the state file cannot be written: .*(ENOTDIR|EEXIST)/],
  ] as const) {
    const { code, err } = await packed.run("--port", "0", "--state-file", file);
    expect(err).toMatch(words);
    expect(err.trim().split("\n")).toHaveLength(1);
    expect(code).toBe(1);
  }
  expect(await readFile(join(packed.folder, "theirs.json"), "utf8")).toBe('{ "name": "something else" }');
  expect(await readFile(join(packed.folder, "theirs.txt"), "utf8")).toBe("something else");
});

test("says its version", async () => {
  expect((await packed.run("--version")).out).toBe(`${manifest.version}\n`);
});

test("a script uses what it exports, with its types", async () => {
  const source = `
    import Stripe from "stripe";
    import { advanceClock, setCardOutcome } from "duebase-local-stripe/buyer";
    import { type Effect, type LocalStripe, type Settings, startLocalStripe } from "duebase-local-stripe";

    const settings: Partial<Settings> = { retryDays: [1], afterRetries: "cancel" };
    const local: LocalStripe = await startLocalStripe({ port: 0, settings });
    const stripe = new Stripe("sk_test_example", { host: "127.0.0.1", port: local.port, protocol: "http" });
    local.faults.add({ action: { kind: "reset" }, match: { path: "/v1/products" } });
    const product = await stripe.products.create({ name: "Pro" });
    const start = 1_768_467_600;
    const clock = await stripe.testHelpers.testClocks.create({ frozen_time: start });
    const customer = await stripe.customers.create({ test_clock: clock.id });
    const card = await stripe.paymentMethods.attach("pm_card_visa", { customer: customer.id });
    const subscription = await stripe.subscriptions.create({
      customer: customer.id,
      default_payment_method: card.id,
      items: [{ price_data: { product: product.id, currency: "usd", unit_amount: 2000, recurring: { interval: "month" } } }],
    });
    await setCardOutcome(stripe, card.id, "insufficient_funds");
    await advanceClock(stripe, clock.id, start + 35 * 86_400);
    await local.settled();
    const effects: Effect[] = local.ledger.effectsWhere({ kind: "charge.failed" });
    // @ts-expect-error there is no such effect
    local.ledger.effectsWhere({ kind: "charge.forgotten" });
    // @ts-expect-error a port is needed
    () => startLocalStripe({});
    const { status } = await stripe.subscriptions.retrieve(subscription.id);
    console.log(status, effects.length, local.ledger.requestsWhere({ path: "/v1/products" }).length);
    await local.close();
  `;
  await writeFile(join(packed.folder, "use.ts"), source);
  expect(await packed.compile("use.ts")).toBe("");
  await writeFile(
    join(packed.folder, "use.js"),
    source
      .replace("type Effect, type LocalStripe, type Settings, ", "")
      .replace(/const (\w+): [\w<>[\]]+ =/g, "const $1 ="),
  );
  const { out, err } = await packed.runModule("use.js");
  expect([out, err]).toEqual(["canceled 2 2\n", ""]);
});

test("what its README tells is so: the example, and the options", async () => {
  const { printed, told } = await packed.runExample();
  expect(told).toHaveLength(2);
  expect(printed).toEqual(told);
  const options = await packed.options();
  expect(options.told).toContain("--state-file");
  expect(options.helped).toEqual(options.told);
});
