import { readdirSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { createTestDatabase, type TestDatabase } from "../../support/database.ts";
import { FIXTURE_USER, fixtureInShapeOf, loadFixtures, renamedFixture } from "../../support/fixtures.ts";
import { API_VERSIONS, NEWEST } from "../../support/old-shapes.ts";
import { type Rows, rowsNamed } from "../../support/rows.ts";

const fixtures = loadFixtures();
const OLDER = API_VERSIONS.filter((version) => version !== NEWEST);

let database: TestDatabase;
beforeAll(async () => {
  database = await createTestDatabase();
  await database.signUp({ id: FIXTURE_USER });
});
afterAll(() => database.drop());

let names = 0;
const newName = () => `Ex${String(++names).padStart(5, "0")}`;

describe("the fixtures", () => {
  it("are one for every type that is handled", async () => {
    const handled = await database.sql<
      { type: string }[]
    >`select distinct event_type as type from billing.event_handlers`;
    const types = new Set(fixtures.map(({ type }) => type));
    expect(handled.length).toBeGreaterThan(0);
    expect(handled.map(({ type }) => type).filter((type) => !types.has(type))).toEqual([]);
    expect(types).toContain("invoice.upcoming");
  });

  it("are named after their type, in the newest shape, under ids that nobody takes for real", () => {
    const files = readdirSync(join(import.meta.dirname, "../../fixtures/events")).sort();
    expect(files).toEqual(fixtures.map(({ type }) => `${type}.json`).sort());
    expect(new Set(fixtures.map(({ id }) => id)).size).toBe(fixtures.length);
    for (const { id, api_version, data } of fixtures) {
      expect(api_version).toBe(NEWEST);
      expect(id).toContain("_Example");
      if (data.object.id) expect(data.object.id).toContain("_Example");
    }
  });
});

/** Rows less what an older payload tells beside them: which invoice a payment pays. */
function withoutPaymentLinks(rows: Rows): Rows {
  const { payments, ...others } = rows;
  const link = /"(invoice_id|is_one_time)": ("[^"]*"|true|false),? ?/g;
  return { ...others, payments: (payments ?? []).map((row) => row.replace(link, "")) };
}

/** Rows less what an older payload leaves out: whose a refund is. */
function withoutRefundedCustomer(rows: Rows): Rows {
  const { audit_events: facts, ...others } = rows;
  const strip = (row: string) =>
    /refund\.(created|updated|failed)"/.test(row) ? row.replace(/"customer_id": "[^"]*", /, "") : row;
  return { ...others, audit_events: (facts ?? []).map(strip).sort() };
}

describe.each(fixtures.map((event) => ({ type: event.type, event })))("$type", ({ type, event }) => {
  it("is projected", async () => {
    expect(await database.receive(event)).toBe("processed");
  });

  it.each(OLDER)("says the same in the shape of %s", async (version) => {
    const old = fixtureInShapeOf(version, event, fixtures);
    if (!old) {
      expect(type, "the only object that older versions do not have").toBe("invoice_payment.paid");
      return;
    }
    expect(old).not.toEqual(event);
    const [newest, older] = [newName(), newName()];
    expect(await database.receive(renamedFixture(event, newest))).toBe("processed");
    expect(await database.receive(renamedFixture(old, older))).toBe("processed");
    const [wanted, found] = [await rowsNamed(database.sql, newest), await rowsNamed(database.sql, older)];
    // An invoice that was paid is evidence of a payment only where it names the payment.
    if (type.startsWith("invoice.")) wanted.payments = found.payments = [];
    const comparable = (rows: Rows) => withoutRefundedCustomer(withoutPaymentLinks(rows));
    expect(comparable(found)).toEqual(comparable(wanted));
    if (type !== "invoice.upcoming") expect(Object.values(found).flat()).not.toEqual([]);
  });
});

describe("the whole story", () => {
  it.each(OLDER)("ends the same in the shape of %s", async (version) => {
    const [newest, older] = [newName(), newName()];
    for (const event of fixtures) {
      await database.receive(renamedFixture(event, newest));
      const old = fixtureInShapeOf(version, event, fixtures);
      if (old) await database.receive(renamedFixture(old, older));
    }
    const [wanted, found] = [await rowsNamed(database.sql, newest), await rowsNamed(database.sql, older)];
    if (version < "2025-03-31") expect(found.invoice_payments).toEqual([]);
    const comparable = (rows: Rows) => ({ ...withoutRefundedCustomer(rows), invoice_payments: [] });
    expect(comparable(found)).toEqual(comparable(wanted));
    expect(wanted.payments).toHaveLength(5);
  });

  it("links Ada to the user who checked out, and shows how it ended", async () => {
    const name = newName();
    for (const event of fixtures) await database.receive(renamedFixture(event, name));
    const shown = await database.asUser(
      FIXTURE_USER,
      (sql) => sql`
        select c.email, s.id, s.status, i.id as invoice, i.status as invoice_status, i.amount_paid, p.id as payment, p.amount_refunded
        from billing.customers as c
        join billing.subscriptions as s on s.customer = c.id
        join billing.invoices as i on i.subscription = s.id
        join billing.payments as p on p.invoice_id = i.id
        where c.id = ${`cus_${name}Ada`}
      `,
    );
    expect(shown).toEqual([
      {
        email: "ada@example.com",
        id: `sub_${name}Team`,
        status: "canceled",
        invoice: `in_${name}First`,
        invoice_status: "paid",
        amount_paid: "10353",
        payment: `pi_${name}First`,
        amount_refunded: "2900",
      },
    ]);
  });
});
