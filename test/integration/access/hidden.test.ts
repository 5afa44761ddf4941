import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import PaymentFailedNotice from "../../../emails/payment-failed-notice.tsx";
import { explainDecline } from "../../../emails/rendering/overdue.ts";
import { createTestDatabase, type TestDatabase } from "../../support/database.ts";
import { tables } from "./expectations.ts";

// What a user must not read of rows that are the user's own. `select *` goes on working: it is in no table they read.

const OWNED = Object.keys(tables).filter((name) => tables[name] === "owner");
const SECRET = "Blacklisted by Mallory";
const MINUTE = 60_000;

let database: TestDatabase;
let people = 0;
let name: string;
let user: string;

beforeAll(async () => {
  database = await createTestDatabase();
});
beforeEach(async () => {
  name = `p${++people}`;
  user = await database.signUp({ email: `${name}@example.com` });
  await database.sql`update billing.settings set visible_metadata = '{}' where id`;
});
afterAll(() => database.drop());

let seconds = 1_790_000_000;
async function tell(type: string, object: object): Promise<void> {
  const created = ++seconds;
  const id = `evt_${type}_${created}`;
  const event = { id, object: "event", type, created, livemode: false, data: { object } };
  expect(await database.receive(event)).toBe("processed");
}

/** Everything of one user's that has metadata, each with a note to the merchant's staff and a plan the user may know. */
async function tellAll(metadata: object): Promise<void> {
  const customer = `cus_${name}`;
  const price = { id: "price_1", product: "prod_1", metadata: { margin: SECRET } };
  const item = { id: `si_${name}`, price, quantity: 1, metadata };
  await tell("customer.created", {
    id: customer,
    object: "customer",
    metadata: { ...metadata, owner_id: user },
  });
  await tell("customer.subscription.created", {
    id: `sub_${name}`,
    object: "subscription",
    customer,
    status: "active",
    metadata,
    items: { data: [item] },
    pending_update: { expires_at: seconds + 82_800, subscription_items: [item] },
  });
  await tell("invoice.created", {
    id: `in_${name}`,
    object: "invoice",
    customer,
    status: "draft",
    currency: "eur",
    total: 900,
    metadata,
  });
  await tell("payment_method.attached", {
    id: `pm_${name}`,
    object: "payment_method",
    customer,
    type: "card",
    metadata,
  });
  await pay("insufficient_funds", metadata);
}

async function pay(decline_code: string | null, metadata: object = {}): Promise<void> {
  await tell("payment_intent.payment_failed", {
    id: `pi_${name}`,
    object: "payment_intent",
    customer: `cus_${name}`,
    amount: 900,
    currency: "eur",
    status: decline_code === null ? "succeeded" : "requires_payment_method",
    last_payment_error: decline_code && {
      code: "card_declined",
      decline_code,
      message: `Declined: ${decline_code}.`,
    },
    metadata,
  });
}

const seen = (table: string) =>
  database.asUser(user, (sql) => sql.unsafe<Record<string, unknown>[]>(`select * from ${table}`));
const visible = async () => {
  const rows = await Promise.all(OWNED.map(seen));
  return rows.flat().flatMap(({ metadata }) => (metadata === undefined ? [] : [metadata]));
};
const kept = async () => {
  const rows = await database.asService(
    (sql) => sql`
      select metadata - 'owner_id' as metadata from billing.object_metadata
      where object_id like ${`%\\_${name}`} order by object_id
    `,
  );
  return rows.map(({ metadata }) => metadata);
};
const allow = (keys: string[]) =>
  database.sql`update billing.settings set visible_metadata = ${keys} where id`;

describe("of Stripe's metadata", () => {
  test("users read nothing of their own rows, servers all", async () => {
    const metadata = { note: SECRET, plan: "gold" };
    await tellAll(metadata);
    for (const table of OWNED) expect(JSON.stringify(await seen(table)), table).not.toContain(SECRET);
    expect(await visible()).toEqual(Array.from({ length: 6 }, () => ({})));
    expect(await kept()).toEqual(Array.from({ length: 6 }, () => metadata));
  });

  test("they read the keys that settings name, of what comes and of what was there", async () => {
    const metadata = { note: SECRET, plan: "gold" };
    await tellAll(metadata);
    await allow(["plan", "seats"]);
    // A projection that read the settings before may still be under way.
    await database.sql`select billing_private.run_settings_pass(now())`;
    expect(await visible()).toEqual(Array.from({ length: 6 }, () => ({})));
    await finishPass();
    expect(await visible()).toEqual(Array.from({ length: 6 }, () => ({ plan: "gold" })));
    await tellAll({ ...metadata, seats: "3" });
    expect(await visible()).toEqual(Array.from({ length: 6 }, () => ({ plan: "gold", seats: "3" })));
  });

  test("what settings name no longer is taken away again, and metadata that is gone everywhere", async () => {
    await allow(["plan"]);
    await tellAll({ plan: "gold" });
    await allow([]);
    await finishPass();
    expect(await visible()).toEqual(Array.from({ length: 6 }, () => ({})));
    await tellAll({});
    expect((await kept()).filter((metadata) => Object.keys(metadata as object).length > 0)).toEqual([]);
  });

  test("a pass takes small steps, and starts again where settings change meanwhile", async () => {
    await tellAll({ plan: "gold", tier: "2" });
    await allow(["plan"]);
    const step = (limit: number) =>
      database.sql`select billing_private.run_settings_pass(${new Date(Date.now() + 2 * MINUTE)}, ${limit}) as done`;
    expect(await step(2)).toEqual([{ done: 2 }]);
    await allow(["tier"]);
    while ((await step(2))[0]?.done > 0);
    expect(await visible()).toEqual(Array.from({ length: 6 }, () => ({ tier: "2" })));
    expect(await database.sql`select * from billing_private.settings_passes`).toEqual([]);
  });

  test("an item that is taken out leaves nothing", async () => {
    await tellAll({ note: SECRET });
    await tell("customer.subscription.updated", {
      id: `sub_${name}`,
      object: "subscription",
      customer: `cus_${name}`,
      status: "active",
      items: { data: [] },
    });
    const ofItem = database.sql`select from billing.object_metadata where object_id = ${`si_${name}`}`;
    expect(await ofItem).toHaveLength(0);
  });

  /** Runs the minute's job as cron does, a minute after the change. */
  async function finishPass() {
    const later = new Date(Date.now() + 2 * MINUTE);
    while ((await database.sql`select billing_private.run_settings_pass(${later}) as done`)[0]?.done > 0);
  }
});

describe("why a payment failed", () => {
  const told = async () => (await seen("billing.payments")).map(({ failure_code }) => failure_code);
  const said = () =>
    database.asService(
      (sql) => sql`
        select failure_code, failure_message from billing.payment_failures where payment_id = ${`pi_${name}`}
      `,
    );
  beforeEach(() => tellAll({}));

  test("is told where it helps", async () => {
    expect(await told()).toEqual(["insufficient_funds"]);
  });

  test.each([
    "lost_card",
    "stolen_card",
    "pickup_card",
    "fraudulent",
    "merchant_blacklist",
    "security_violation",
    "highest_risk_level",
    "a_code_of_next_year",
  ])("%s reads like any decline, except for servers", async (code) => {
    await pay(code);
    expect(await told()).toEqual(["generic_decline"]);
    for (const table of OWNED) expect(JSON.stringify(await seen(table)), table).not.toContain(code);
    expect(await said()).toEqual([{ failure_code: code, failure_message: `Declined: ${code}.` }]);
  });

  test("of a charge without an intent is hidden as well, the reason of Radar before the code", async () => {
    await tell("charge.failed", {
      id: `ch_${name}`,
      object: "charge",
      customer: `cus_${name}`,
      amount: 500,
      currency: "eur",
      status: "failed",
      failure_code: "card_declined",
      failure_message: SECRET,
      outcome: { reason: "merchant_blacklist", type: "blocked" },
    });
    expect((await told()).sort()).toEqual(["generic_decline", "insufficient_funds"]);
    expect(JSON.stringify(await seen("billing.payments"))).not.toContain(SECRET);
  });

  test("is nothing where Radar has its reasons for a charge that it let through or wants to be reviewed", async () => {
    for (const [index, outcome] of [
      { reason: "rule", type: "authorized" },
      { reason: "elevated_risk_level", type: "manual_review" },
    ].entries()) {
      const id = `ch_${index}_${name}`;
      await tell("charge.succeeded", {
        id,
        object: "charge",
        customer: `cus_${name}`,
        amount: 500,
        currency: "eur",
        status: "succeeded",
        outcome,
      });
      const rows = await database.asUser(
        user,
        (sql) => sql`select failure_code from billing.payments where id = ${id}`,
      );
      expect([...rows]).toEqual([{ failure_code: null }]);
      expect(await database.sql`select from billing.payment_failures where payment_id = ${id}`).toHaveLength(
        0,
      );
    }
  });

  test("is forgotten once it is paid", async () => {
    await pay(null);
    expect(await told()).toEqual([null]);
    expect(await said()).toEqual([]);
  });

  test("is told to whoever reads the rows exactly where a mail tells it", async () => {
    const codes = await database.sql<{ code: string }[]>`
      select distinct m[1] as code
      from regexp_matches(pg_get_functiondef('billing_private.visible_failure_code'::regproc), '''([a-z_]+)''', 'g') as m
    `;
    const explained = (declineCode: string) =>
      explainDecline({ ...PaymentFailedNotice.PreviewProps, declineCode }) !== undefined;
    const listed = codes.map(({ code }) => code).filter((code) => code !== "generic_decline");
    expect(listed.length).toBeGreaterThan(10);
    expect(listed.filter((code) => !explained(code))).toEqual([]);
    const hidden = [
      "lost_card",
      "stolen_card",
      "fraudulent",
      "generic_decline",
      "do_not_honor",
      "merchant_blacklist",
    ];
    expect(hidden.filter(explained)).toEqual([]);
  });
});
