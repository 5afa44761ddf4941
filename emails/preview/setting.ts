import type { Brand, Party } from "../contract.ts";
import type { Setting } from "../rendering/voice.ts";

/** The made-up company whose emails the preview and the pictures show. */
export const previewBrand: Brand = {
  appName: "Northlight",
  appUrl: "https://northlight.example",
  billingUrl: "https://northlight.example/settings/billing",
  color: "#3538cd",
  supportEmail: "billing@northlight.example",
  postalAddress: "Northlight Ltd, 12 Harbour Street, Dublin, Ireland",
};

export const previewInvoiceUrl = "https://invoice.stripe.com/i/acct_example/test_example";
export const previewInvoicePdf = `${previewInvoiceUrl}/pdf`;

/** The two sides of the example company's invoices. */
export const previewParties: { billedTo: Party; soldBy: Party } = {
  billedTo: {
    name: "Example Consulting Ltd",
    address: { line1: "4 Example Street", city: "Dublin", postalCode: "D02 AF30", country: "IE" },
    taxIds: [{ type: "eu_vat", value: "IE7654321B" }],
  },
  soldBy: { name: "Northlight Ltd", taxIds: [{ type: "eu_vat", value: "IE1234567A" }] },
};

/** Spread into each template's PreviewProps. */
export const previewSetting: Setting = { brand: previewBrand, locale: "en" };
