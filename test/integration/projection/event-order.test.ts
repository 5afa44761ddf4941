import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { createTestDatabase, type TestDatabase } from "../../support/database.ts";
import { deliver, deliverInEveryOrder, readsOwed, told } from "../../support/orders.ts";
import { customer } from "../../support/stripe/customers.ts";
import { invoice } from "../../support/stripe/invoices.ts";
import { charge, dispute } from "../../support/stripe/payments.ts";
import { subscription } from "../../support/stripe/subscriptions.ts";

const NOW = 1_790_000_000;

let database: TestDatabase;
beforeAll(async () => {
  database = await createTestDatabase();
});
afterAll(() => database.drop());

const ada = customer({ id: "cus_ExampleAda", created: NOW, name: "Ada", balance: 0 });
const bill = invoice({ id: "in_ExampleBill", created: NOW, customer: ada.id, total: 900, amount_due: 900 });
const plan = subscription({ id: "sub_ExamplePlan", created: NOW, customer: ada.id, items: [] });

const nameOf = async (name: string) =>
  (await database.sql`select name from billing.customers where id = ${`cus_${name}Ada`}`)[0]?.name;
const statusOf = async (table: string, id: string) =>
  (await database.sql`select status from billing.${database.sql(table)} where id = ${id}`)[0]?.status;
const auditOf = async (name: string) =>
  (
    await database.sql<{ action: string }[]>`
      select action from billing.audit_events
      where actor = 'stripe' and event_id like ${`evt_${name}%`} order by action
    `
  ).map(({ action }) => action);

describe("of two events of one object", () => {
  it("the newer one shows, whichever comes last", async () => {
    const events = [
      told("customer.created", NOW, ada),
      told("customer.updated", NOW + 1, { ...ada, name: "Ada L." }, ada),
    ];
    for (const name of await deliverInEveryOrder(database, events)) {
      expect(await nameOf(name)).toBe("Ada L.");
      expect(await readsOwed(database, `cus_${name}Ada`)).toEqual([]);
    }
  });

  it("the stale one still leaves its own facts: in the audit trail, and when payment first failed", async () => {
    const failed = { ...bill, status: "open" as const, attempt_count: 1 };
    const name = await deliver(database, [
      told("invoice.paid", NOW + 60, { ...bill, status: "paid", amount_paid: 900 }),
      told("invoice.payment_failed", NOW + 30, failed),
      told("invoice.payment_failed", NOW + 40, { ...failed, attempt_count: 2 }),
    ]);
    expect(await auditOf(name)).toEqual(["invoice.paid", "invoice.payment_failed", "invoice.payment_failed"]);
    const [row] = await database.sql`
      select status, attempt_count, first_payment_failed_at from billing.invoices where id = ${`in_${name}Bill`}
    `;
    expect(row).toEqual({
      status: "paid",
      attempt_count: 0,
      first_payment_failed_at: new Date((NOW + 30) * 1000),
    });
  });

  it("a repeated delivery changes nothing and is counted", async () => {
    const events = [
      told("customer.created", NOW, ada),
      told("customer.updated", NOW + 1, { ...ada, name: "B" }, ada),
    ];
    const name = await deliver(database, events);
    await deliver(database, [...events, ...events], name);
    expect(await nameOf(name)).toBe("B");
    expect(await auditOf(name)).toEqual(["customer.created"]);
    const [counted] = await database.sql`
      select count(*)::integer as repetitions from billing.webhook_duplicates where event_id like ${`evt_${name}%`}
    `;
    expect(counted).toEqual({ repetitions: 4 });
  });
});

describe("a state that Stripe seldom leaves", () => {
  const contest = (status: string) =>
    dispute({
      id: "du_ExampleBank",
      created: NOW,
      amount: 900,
      charge: "ch_ExampleBill",
      status: status as never,
    });
  const step = (from: string, to: string) => told("charge.dispute.updated", NOW, contest(to), contest(from));

  it.each([
    ["a lost dispute that is appealed", ["lost", "appeal_needs_response"]],
    ["an appeal that is answered", ["lost", "appeal_needs_response", "appeal_under_review"]],
    ["an inquiry that was closed and becomes a dispute", ["warning_closed", "needs_response"]],
    ["and one that is answered at once", ["warning_closed", "needs_response", "under_review"]],
    ["a status that Stripe adds", ["lost", "in_arbitration"]],
  ])("is left within the second where an update says so: %s", async (_what, [first = "", ...later]) => {
    const events = [
      told("charge.dispute.closed", NOW, contest(first)),
      ...later.map((status, index) => step(later[index - 1] ?? first, status)),
    ];
    for (const name of await deliverInEveryOrder(database, events)) {
      expect(await statusOf("disputes", `du_${name}Bank`)).toBe(later.at(-1));
      // Of three, two that arrive first may not tell.
      if (later.length === 1) expect(await readsOwed(database, `du_${name}Bank`)).toEqual([]);
    }
  });

  it("is not decided where nothing says which came last: Stripe is asked", async () => {
    const events = [
      told("charge.dispute.closed", NOW, contest("lost")),
      told("charge.dispute.funds_withdrawn", NOW, contest("appeal_needs_response")),
    ];
    for (const name of await deliverInEveryOrder(database, events))
      expect(await readsOwed(database, `du_${name}Bank`)).toHaveLength(1);
  });

  it("is left by an invoice whose payment is detached", async () => {
    const paid = { ...bill, status: "paid" as const, amount_paid: 900, amount_remaining: 0 };
    const open = { ...bill, status: "open" as const, amount_paid: 0, amount_remaining: 900 };
    const events = [told("invoice.paid", NOW, paid), told("invoice.updated", NOW, open, paid)];
    for (const name of await deliverInEveryOrder(database, events))
      expect(await statusOf("invoices", `in_${name}Bill`)).toBe("open");
  });
});

describe("within one second", () => {
  it("a creation never overwrites an update", async () => {
    const events = [
      told("customer.created", NOW, ada),
      told("customer.updated", NOW, { ...ada, name: "Now" }, ada),
    ];
    for (const name of await deliverInEveryOrder(database, events)) {
      expect(await nameOf(name)).toBe("Now");
      expect(await readsOwed(database, `cus_${name}Ada`)).toEqual([]);
    }
  });

  it.each(["paid", "void", "uncollectible"] as const)(
    "an invoice that is %s does not become open again",
    async (status) => {
      const open = { ...bill, status: "open" as const };
      const type = {
        paid: "invoice.paid",
        void: "invoice.voided",
        uncollectible: "invoice.marked_uncollectible",
      };
      const events = [
        told("invoice.created", NOW, bill),
        told("invoice.finalized", NOW, open),
        told(type[status], NOW, { ...bill, status }),
      ];
      for (const name of await deliverInEveryOrder(database, events)) {
        expect(await statusOf("invoices", `in_${name}Bill`)).toBe(status);
        expect(await readsOwed(database, `in_${name}Bill`)).toEqual([]);
      }
    },
  );

  it("a canceled subscription does not become active again, nor one that expired incomplete", async () => {
    const canceled = told("customer.subscription.deleted", NOW, { ...plan, status: "canceled" });
    const renewed = told("customer.subscription.updated", NOW, { ...plan, metadata: { a: "1" } }, plan);
    const expired = { ...plan, status: "incomplete_expired" as const };
    const gone = told("customer.subscription.updated", NOW, expired, { ...plan, status: "incomplete" });
    for (const name of await deliverInEveryOrder(database, [renewed, canceled]))
      expect(await statusOf("subscriptions", `sub_${name}Plan`)).toBe("canceled");
    for (const name of await deliverInEveryOrder(database, [renewed, gone]))
      expect(await statusOf("subscriptions", `sub_${name}Plan`)).toBe("incomplete_expired");
  });

  it("a subscription that became active does not fall back to incomplete", async () => {
    const incomplete = { ...plan, status: "incomplete" as const };
    const events = [
      told("customer.subscription.created", NOW, incomplete),
      told(
        "customer.subscription.updated",
        NOW,
        { ...incomplete, latest_invoice: "in_ExampleBill" },
        incomplete,
      ),
      told(
        "customer.subscription.updated",
        NOW,
        { ...plan, latest_invoice: "in_ExampleBill" },
        { ...incomplete, latest_invoice: "in_ExampleBill" },
      ),
    ];
    for (const name of await deliverInEveryOrder(database, events)) {
      expect(await statusOf("subscriptions", `sub_${name}Plan`)).toBe("active");
      expect(await readsOwed(database, `sub_${name}Plan`)).toEqual([]);
    }
  });

  it("a charge that succeeded does not become pending again", async () => {
    const waiting = charge({
      id: "py_ExampleDebit",
      created: NOW,
      amount: 500,
      status: "pending",
      paid: false,
    });
    const events = [
      told("charge.pending", NOW, waiting),
      told("charge.succeeded", NOW, { ...waiting, status: "succeeded", paid: true }),
    ];
    for (const name of await deliverInEveryOrder(database, events)) {
      expect(await statusOf("payments", `py_${name}Debit`)).toBe("succeeded");
      expect(await readsOwed(database, `py_${name}Debit`)).toEqual([]);
    }
  });

  it("a chain of updates is followed by what each says it changed, in either direction", async () => {
    const steps = ["Ada", "Bo", "Cleo", "Dan"].map((name) => ({ ...ada, name }));
    const events = steps.slice(1).map((step, index) => told("customer.updated", NOW, step, steps[index]));
    for (const name of await deliverInEveryOrder(database, events)) {
      expect(await nameOf(name)).toBe("Dan");
    }
  });

  it("updates of different attributes, nested ones too, are one chain", async () => {
    const first = { ...ada, metadata: { a: "1" } };
    const second = { ...first, balance: 500 };
    const third = { ...second, metadata: { a: "1", b: "2" } };
    const events = [
      told("customer.updated", NOW, first, ada),
      told("customer.updated", NOW, second, first),
      told("customer.updated", NOW, third, second),
    ];
    for (const name of await deliverInEveryOrder(database, events)) {
      const [row] =
        await database.sql`select balance, billing_private.metadata_of(id) as metadata from billing.customers where id = ${`cus_${name}Ada`}`;
      expect(row).toEqual({ balance: "500", metadata: { a: "1", b: "2" } });
    }
  });

  it("several events of one change agree, and Stripe is not asked", async () => {
    const open = { ...bill, status: "open" as const };
    const paid = { ...bill, status: "paid" as const, amount_paid: 900 };
    const events = [
      told("invoice.updated", NOW, paid, open),
      told("invoice.paid", NOW, paid),
      told("invoice.payment_succeeded", NOW, paid),
    ];
    for (const name of await deliverInEveryOrder(database, events))
      expect(await readsOwed(database, `in_${name}Bill`)).toEqual([]);
  });

  it("a change there and back leaves no last one: one is shown, always the same, and Stripe is asked once", async () => {
    const there = { ...ada, balance: 500 };
    const events = [told("customer.updated", NOW, there, ada), told("customer.updated", NOW, ada, there)];
    const shown = new Set<unknown>();
    for (const name of await deliverInEveryOrder(database, events)) {
      const id = `cus_${name}Ada`;
      shown.add((await database.sql`select balance from billing.customers where id = ${id}`)[0]?.balance);
      expect(await readsOwed(database, id)).toEqual([
        { key: `refresh:${id}:${NOW}`, payload: { id, object: "customer" } },
      ]);
    }
    expect(shown.size).toBe(1);
  });

  it("reads Stripe to decide between states that no event connects", async () => {
    const events = ["One", "Other"].map((name) => told("customer.updated", NOW, { ...ada, name }));
    const shown = new Set<unknown>();
    for (const name of await deliverInEveryOrder(database, events)) {
      shown.add(await nameOf(name));
      expect(await readsOwed(database, `cus_${name}Ada`)).toHaveLength(1);
    }
    expect(shown.size).toBe(1);
  });

  it("an unclear second no longer matters once a later event is there, whichever comes first", async () => {
    const events = [
      told("customer.updated", NOW, { ...ada, name: "One" }),
      told("customer.updated", NOW, { ...ada, name: "Other" }),
      told("customer.updated", NOW + 1, { ...ada, name: "Later" }),
    ];
    for (const name of await deliverInEveryOrder(database, events)) expect(await nameOf(name)).toBe("Later");
  });
});
