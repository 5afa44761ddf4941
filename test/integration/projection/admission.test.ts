import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { createTestDatabase, type TestDatabase } from "../../support/database.ts";
import { told } from "../../support/orders.ts";
import { customer } from "../../support/stripe/customers.ts";

const NOW = 1_790_000_000;

let database: TestDatabase;
beforeAll(async () => {
  database = await createTestDatabase();
});
afterAll(() => database.drop());

const about = (id: string) => customer({ id, created: NOW });
const customersNamed = async (id: string) =>
  await database.sql`select id from billing.customers where id = ${id}`;
const failureOf = async (id: string) =>
  (
    await database.sql`select status, attempts, error ->> 'message' as why from billing.failed_webhooks where event_id = ${id}`
  )[0];

describe("an event", () => {
  it("of a type without handlers is stored and counts as processed", async () => {
    const event = told("billing_portal.session.created", NOW, {
      id: "bps_Example",
      object: "billing_portal.session",
    });
    expect(await database.receive(event)).toBe("processed");
    expect(await database.sql`select type from billing.webhook_events where id = ${event.id}`).toHaveLength(
      1,
    );
    expect(await failureOf(event.id)).toBeUndefined();
  });

  it("of the other mode is stored, quarantined with the reason, and changes nothing", async () => {
    const event = { ...told("customer.created", NOW, about("cus_ExampleLive")), livemode: true };
    expect(await database.receive(event)).toBe("quarantined");
    expect(await database.receive(event)).toBe("duplicate");
    expect(await failureOf(event.id)).toEqual({
      status: "quarantined",
      attempts: 0,
      why: expect.stringContaining("livemode t"),
    });
    expect(await customersNamed("cus_ExampleLive")).toEqual([]);
    expect(await database.sql`select 1 from billing.audit_events where event_id = ${event.id}`).toEqual([]);
  });

  it("of another connected account is quarantined as well", async () => {
    const event = {
      ...told("customer.created", NOW, about("cus_ExampleElsewhere")),
      account: "acct_ExampleElsewhere",
    };
    expect(await database.receive(event)).toBe("quarantined");
    expect((await failureOf(event.id))?.why).toContain("acct_ExampleElsewhere");
    expect(await customersNamed("cus_ExampleElsewhere")).toEqual([]);
  });

  it("in quarantine does not speak for the second it is from", async () => {
    const ada = about("cus_ExampleSecond");
    const foreign = {
      ...told("customer.updated", NOW, { ...ada, name: "Foreign" }, { ...ada, name: "Own" }),
      livemode: true,
    };
    await database.receive(foreign);
    await database.receive(told("customer.updated", NOW, { ...ada, name: "First" }, ada));
    await database.receive(told("customer.updated", NOW, { ...ada, name: "Own" }, { ...ada, name: "First" }));
    expect(await database.sql`select name from billing.customers where id = ${ada.id}`).toEqual([
      { name: "Own" },
    ]);
  });

  it("of the account that is mirrored is projected, and the platform's own is then the stranger", async () => {
    const connect = await createTestDatabase();
    try {
      await connect.sql`update billing.settings set stripe_account = 'acct_ExampleShop', livemode = true where id`;
      const event = { ...told("customer.created", NOW, about("cus_ExampleShop")), livemode: true };
      expect(await connect.receive({ ...event, account: "acct_ExampleShop" })).toBe("processed");
      expect(await connect.receive({ ...event, id: "evt_ExamplePlatform" })).toBe("quarantined");
      expect(await connect.sql`select id from billing.customers`).toEqual([{ id: "cus_ExampleShop" }]);
    } finally {
      await connect.drop();
    }
  });
});
