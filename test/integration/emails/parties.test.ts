import { afterEach, describe, expect, it } from "vitest";
import { API_VERSIONS, NEWEST } from "../../support/old-shapes.ts";
import type { InvoiceValues } from "../../support/stripe/invoices.ts";
import { CUSTOMER, DAY, HOUR, paidInvoice, START, ToldDatabase, told, unpaid } from "../dunning/told.ts";

let world: ToldDatabase;
afterEach(() => world.close());

const BILLED: Partial<InvoiceValues> = {
  account_name: "Example GmbH",
  account_tax_ids: ["txi_Example"],
  customer_name: "Ada Lovelace OG",
  customer_address: {
    line1: "Rathausplatz 1",
    line2: null,
    city: "St.Pölten",
    postal_code: "3100",
    state: null,
    country: "AT",
  },
  customer_tax_ids: [
    { type: "eu_vat", value: "ATU12345678" },
    { type: "unknown", value: null },
  ],
};

async function open(language: string, settings: Record<string, string> = {}, version = NEWEST) {
  world = await ToldDatabase.open(told(), version);
  await world.database
    .sql`update billing.customers set preferred_locales = ${[language]} where id = ${CUSTOMER}`;
  if (settings.vat_id) await world.database.sql`update billing.settings set vat_id = ${settings.vat_id}`;
}

async function paid(values: Partial<InvoiceValues>, at = START + HOUR) {
  const bill = unpaid(values);
  await world.tell("invoice.paid", at, paidInvoice(bill, at), bill);
  await world.evaluate(at + HOUR);
  await world.sendMails(at + HOUR);
}

/** Of a mail in the inbox, the line that begins with a label. */
function line(template: string, label: string): string | undefined {
  const mail = world.received().findLast((received) => received.template === template);
  return mail?.text.split("\n").find((text) => text.startsWith(`${label}: `));
}

const WORDS = {
  en: {
    billed: "Billed to: Ada Lovelace OG, Rathausplatz 1, 3100 St. Pölten, Austria, VAT ID ATU12345678",
    sold: "Issued by: Example GmbH, VAT ID DE123456789",
    invoice: "Invoice: EX-0007",
  },
  de: {
    billed:
      "Rechnung an: Ada Lovelace OG, Rathausplatz 1, 3100 St. Pölten, Österreich, USt-IdNr. ATU12345678",
    sold: "Ausgestellt von: Example GmbH, USt-IdNr. DE123456789",
    invoice: "Rechnung: EX-0007",
  },
};
const labels = (language: "en" | "de") =>
  Object.values(WORDS[language]).map((said) => said.slice(0, said.indexOf(":")));

describe.each(["en", "de"] as const)("in the inbox, in %s", (language) => {
  const said = Object.values(WORDS[language]);

  it.each(API_VERSIONS)(
    "a receipt says whom the invoice bills and who sells, of version %s",
    async (version) => {
      await open(language, { vat_id: "DE123456789" }, version);
      await paid(BILLED);
      expect(labels(language).map((label) => line("payment-receipt", label))).toEqual(said);
    },
  );

  it("the mail about a late payment says it as well", async () => {
    await open(language, { vat_id: "DE123456789" });
    await world.fail(unpaid(BILLED));
    await world.evaluate(START + 2 * HOUR);
    await world.sendMails(START + 2 * HOUR);
    await paid(BILLED, START + 2 * DAY);
    expect(labels(language).map((label) => line("payment-recovered", label))).toEqual(said);
    const notice = world.received().find(({ template }) => template === "payment-failed-notice");
    expect(notice?.text).not.toContain("ATU12345678");
  });
});

it("the seller's tax ids are the invoice's own where it has them, and left out where neither it nor settings do", async () => {
  await open("en", { vat_id: "DE123456789" });
  const taxId = { id: "txi_Example", object: "tax_id", type: "ch_vat", value: "CHE-123.456.789 MWST" };
  const deleted = { id: "txi_Gone", object: "tax_id", deleted: true };
  await paid({ ...BILLED, account_tax_ids: [deleted, taxId] as unknown as string[] });
  expect(line("payment-receipt", "Issued by")).toBe("Issued by: Example GmbH, VAT ID CHE-123.456.789 MWST");
  await world.close();

  await open("en");
  await paid(BILLED);
  expect(line("payment-receipt", "Issued by")).toBe("Issued by: Example GmbH");
});

it("an invoice that names neither side gets a mail that names neither", async () => {
  await open("en");
  await paid({ account_name: null, customer_address: null, customer_tax_ids: null, customer_name: null });
  expect(line("payment-receipt", "Issued by")).toBeUndefined();
  expect(line("payment-receipt", "Billed to")).toBeUndefined();
  expect(line("payment-receipt", "Invoice")).toBe("Invoice: EX-0007");
});

it("nothing a customer writes into an address becomes a link or a line of its own", async () => {
  await open("en");
  await paid({
    ...BILLED,
    customer_name: "Win at evil.com now",
    customer_address: {
      line1: "https://evil.example/x",
      line2: "write to a@evil.example",
      city: "Wien\r\nSubject: x",
      postal_code: "1010",
      state: "www.evil.example",
      country: "at",
    },
    customer_tax_ids: [{ type: "eu_vat", value: "evil.example/pay" }],
  });
  expect(line("payment-receipt", "Billed to")).toBe(
    "Billed to: Win at evil. com now, 1010 Wien Subject: x, VAT ID evil. example/pay",
  );
});
