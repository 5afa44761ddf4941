import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { createTestDatabase, type TestDatabase } from "../../support/database.ts";

let database: TestDatabase;
beforeAll(async () => {
  database = await createTestDatabase();
});
afterAll(() => database.drop());

const second = (n: number) => 1_793_000_000 + n;
const moment = (n: number) => new Date(second(n) * 1000);

/** A customer object whose name tells which moment it shows. */
function customer(id: string, name: string, extra: object = {}) {
  return {
    id,
    object: "customer",
    name,
    email: `${id}@example.com`,
    livemode: false,
    created: second(0),
    metadata: {},
    ...extra,
  };
}
let events = 0;
function update(id: string, name: string, at: number, extra: object = {}) {
  events += 1;
  return {
    id: `evt_refresh_${String(events).padStart(3, "0")}`,
    object: "event",
    type: "customer.updated",
    created: second(at),
    livemode: false,
    data: { object: customer(id, name, extra) },
  };
}
async function refresh(object: object, at: Date): Promise<string> {
  return database.asService(async (sql) => {
    const [row] = await sql`select billing.apply_refresh(${sql.json(object as never)}, ${at}) as outcome`;
    return row?.outcome as string;
  });
}
async function shown(id: string): Promise<string> {
  const [row] = await database.sql`select name from billing.customers where id = ${id}`;
  return row?.name as string;
}
async function enqueued(id: string): Promise<string[]> {
  const rows = await database.sql<{ dedupe_key: string }[]>`
    select dedupe_key from billing.outbox where kind = 'refresh' and payload ->> 'id' = ${id} order by id
  `;
  return rows.map((row) => row.dedupe_key);
}

describe("an object read from Stripe", () => {
  it("is shown in place of older events, and events older than the read do not undo it", async () => {
    await database.receive(update("cus_a", "event at 10", 10));
    expect(await refresh(customer("cus_a", "read at 20"), moment(20))).toBe("applied");
    expect(await shown("cus_a")).toBe("read at 20");
    await database.receive(update("cus_a", "event at 15", 15));
    expect(await shown("cus_a")).toBe("read at 20");
  });

  it("gives way to a newer event, whichever comes first", async () => {
    await refresh(customer("cus_b", "read at 20"), moment(20));
    await database.receive(update("cus_b", "event at 30", 30));
    expect(await shown("cus_b")).toBe("event at 30");
    expect(await refresh(customer("cus_b", "read at 25"), moment(25))).toBe("stale");
    expect(await shown("cus_b")).toBe("event at 30");
  });

  it("is asked for again when an event is of the same second it was read in, and not lost over that", async () => {
    await database.receive(update("cus_c", "event at 20", 20));
    expect(await refresh(customer("cus_c", "read at 20"), new Date(second(20) * 1000 + 700))).toBe(
      "undecided",
    );
    expect(await shown("cus_c")).toBe("event at 20");

    expect(await refresh(customer("cus_c", "read at 21"), new Date(second(21) * 1000 + 10))).toBe("applied");
    const late = update("cus_c", "event at 21", 21);
    await database.receive(late);
    expect(await shown("cus_c")).toBe("read at 21");
    expect(await enqueued("cus_c")).toEqual([`refresh:cus_c:${second(21)}:${late.id}`]);
  });

  it("decides what two events of one second left open", async () => {
    await database.receive(update("cus_d", "one", 10));
    await database.receive(update("cus_d", "other", 10));
    expect(await enqueued("cus_d")).toEqual([`refresh:cus_d:${second(10)}`]);
    expect(await refresh(customer("cus_d", "as Stripe has it"), moment(12))).toBe("applied");
    await database.receive(update("cus_d", "third", 10));
    expect(await shown("cus_d")).toBe("as Stripe has it");
  });

  it("under a test clock shows the latest state, whatever the two clocks say", async () => {
    for (const [id, readAt] of [
      ["cus_ahead", -1000],
      ["cus_behind", 100_000],
    ] as const) {
      const clock = { test_clock: "clock_1" };
      await database.receive(update(id, "event at 10", 10, clock));
      expect(await refresh(customer(id, "read", clock), moment(readAt))).toBe("applied");
      expect(await shown(id)).toBe("read");
      await database.receive(update(id, "event at 9", 9, clock));
      expect(await shown(id)).toBe("read");
      await database.receive(update(id, "event at 10 again", 10, clock));
      expect(await enqueued(id)).toHaveLength(1);
      await database.receive(update(id, "event at 11", 11, clock));
      expect(await shown(id)).toBe("event at 11");
    }
  });

  it("of what has no test clock of its own goes by its customer's", async () => {
    const clock = { test_clock: "clock_2", livemode: false };
    const payment = (status: string) => ({
      id: "pi_clock",
      object: "payment_intent",
      customer: "cus_clock",
      livemode: false,
      amount: 900,
      currency: "eur",
      status,
      created: 1_700_000_000,
    });
    const told = (type: string, status: string, second: number) => ({
      ...update("pi_clock", "", second),
      type,
      data: { object: payment(status) },
    });
    const status = async () =>
      (await database.sql`select status from billing.payments where id = 'pi_clock'`)[0]?.status;
    await database.receive(update("cus_clock", "event at 10", 10, clock));
    await database.receive(told("payment_intent.payment_failed", "requires_payment_method", 20));
    // By our own clock this would be newer than all that is still to happen.
    expect(await refresh(payment("requires_payment_method"), moment(100_000))).toBe("applied");
    await database.receive(told("payment_intent.succeeded", "succeeded", 30));
    expect(await status()).toBe("succeeded");
  });

  it("that Stripe says is deleted leaves a tombstone, which no older event takes back", async () => {
    await database.receive(update("cus_e", "event at 10", 10));
    expect(await refresh({ id: "cus_e", object: "customer", deleted: true }, moment(20))).toBe("applied");
    const deletedAt = async () =>
      (await database.sql`select deleted_at from billing.customers where id = 'cus_e'`)[0]?.deleted_at;
    expect(await deletedAt()).toEqual(moment(20));
    await database.receive(update("cus_e", "event at 15", 15));
    expect(await deletedAt()).toEqual(moment(20));
    expect(await shown("cus_e")).toBe("event at 15");
  });

  it("leaves no audit row and no mail: it shows a state, not an event", async () => {
    const count = async () =>
      (
        await database.sql`select (select count(*) from billing.audit_events)::int + (select count(*) from billing.outbox where kind <> 'refresh')::int as rows`
      )[0]?.rows;
    const before = await count();
    await refresh(
      {
        id: "sub_f",
        object: "subscription",
        status: "canceled",
        customer: "cus_f",
        livemode: false,
        items: { data: [] },
      },
      moment(5),
    );
    expect(await count()).toBe(before);
    expect(await database.sql`select status from billing.subscriptions where id = 'sub_f'`).toEqual([
      { status: "canceled" },
    ]);
  });

  it("of the other mode is refused: a key of that mode has read it", async () => {
    await expect(
      refresh(customer("cus_live", "of live mode", { livemode: true }), moment(5)),
    ).rejects.toMatchObject({ code: "DU058", hint: expect.stringContaining("DUEBASE_STRIPE_SECRET_KEY") });
    expect(await database.sql`select from billing.customers where id = 'cus_live'`).toEqual([]);
  });

  it.each([
    ["an object of no known kind", { id: "x_1", object: "payout" }],
    ["one without an id", { object: "customer" }],
  ])("%s is refused with a hint", async (_what, object) => {
    await expect(refresh(object, moment(1))).rejects.toMatchObject({
      code: "DU008",
      hint: expect.any(String),
    });
  });
});
