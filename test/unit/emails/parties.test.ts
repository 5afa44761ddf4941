import { expect, test } from "vitest";
import type { Address } from "../../../emails/contract.ts";
import { partyLines } from "../../../emails/rendering/parties.ts";
import { render } from "./rendered.ts";

const addressed = (address: Address, locale = "en") => partyLines({ address }, locale, (_, value) => value);

test.each<[Address, string[]]>([
  [
    { line1: "Rathausplatz 1", line2: "Top 4", city: "Wien", postalCode: "1010", country: "AT" },
    ["Rathausplatz 1", "Top 4", "1010 Wien", "Austria"],
  ],
  [
    { line1: "500 Example Ave", city: "Austin", state: "TX", postalCode: "78701", country: "US" },
    ["500 Example Ave", "Austin, TX 78701", "United States"],
  ],
  [{ city: "London", postalCode: "SW1A 1AA", country: "GB" }, ["London SW1A 1AA", "United Kingdom"]],
  [{ city: "Milano", state: "MI", postalCode: "20121", country: "IT" }, ["20121 Milano, MI", "Italy"]],
  [{ postalCode: "94107", country: "US" }, ["94107", "United States"]],
  [{ postalCode: "10115" }, ["10115"]],
  [{ state: "CA", country: "US" }, ["CA", "United States"]],
  [{ country: "DE" }, ["Germany"]],
])("%j is written as on an envelope", (address, lines) => {
  expect(addressed(address)).toEqual(lines);
});

test("the country is named in the language of the mail", () => {
  expect(addressed({ country: "DE" }, "de-AT")).toEqual(["Deutschland"]);
  expect(addressed({ country: "ZZ" })).toHaveLength(1);
});

test("nothing known is nothing said", () => {
  for (const party of [null, undefined, {}, { name: "", address: {}, taxIds: [] }]) {
    expect(partyLines(party, "en", (_, value) => value)).toBeUndefined();
  }
  const { text } = render("payment-recovered", { billedTo: null, soldBy: {} });
  expect(text).not.toMatch(/Billed to|Issued by/);
});

test.each([
  ["en", "VAT ID ATU12345678", "Tax ID 12-3456789"],
  ["de", "USt-IdNr. ATU12345678", "Steuernummer 12-3456789"],
])("a tax id is called what it is, in %s", (locale, vat, other) => {
  const billedTo = {
    name: "Ada",
    taxIds: [
      { type: "eu_vat", value: "ATU12345678" },
      { type: "us_ein", value: "12-3456789" },
    ],
  };
  for (const template of ["payment-receipt", "payment-recovered"] as const) {
    const { text } = render(template, { billedTo }, locale);
    expect(text).toContain(`Ada, ${vat}, ${other}`);
  }
});
