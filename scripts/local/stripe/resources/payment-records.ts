import { get, post } from "../../service/route.ts";
import { attachRecord } from "../billing/invoices.ts";
import type { PaymentRecord } from "../core/wire.ts";
import type { World } from "../core/world.ts";
import { missingParam, resourceMissing } from "../http/errors.ts";
import { mergedMetadata, type Params } from "../http/params.ts";
import { idOf, type Route } from "../http/route.ts";
import { insertRecord } from "../payments/records.ts";
import { invoiceOf } from "./invoices.ts";

/** A payment that was made elsewhere, reported as guaranteed where its outcome says so. */
function report(world: World, params: Params): PaymentRecord {
  const requested = params.child("amount_requested");
  const value = requested?.integer("value");
  if (!requested || value == null) throw missingParam("amount_requested[value]");
  const currency = requested.required("currency").toLowerCase();
  const details = params.child("payment_method_details");
  const customer = params.child("customer_details");
  const guaranteed = params.choice("outcome", ["failed", "guaranteed"]) === "guaranteed" ? value : 0;
  params.kept("guaranteed");
  params.integer("initiated_at");
  return insertRecord(world, {
    value,
    guaranteed,
    currency,
    created: world.wallSeconds(),
    customer: customer && {
      customer: customer.text("customer") ?? null,
      email: customer.text("email") ?? null,
      name: customer.text("name") ?? null,
      phone: customer.text("phone") ?? null,
    },
    presence: params.choice("customer_presence", ["off_session", "on_session"]),
    description: params.text("description"),
    metadata: mergedMetadata({}, params.hash("metadata")),
    displayName: details?.child("custom")?.text("display_name"),
    method: details?.text("payment_method"),
    type: details?.text("type"),
    reference: params.child("processor_details")?.child("custom")?.text("payment_reference"),
  });
}

export const paymentRecordRoutes: Route[] = [
  post("/v1/payment_records/report_payment", ({ world, params }) => report(world, params)),
  get("/v1/payment_records/:id", (call) => {
    const record = call.world.store.get("payment_record", idOf(call));
    if (!record) throw resourceMissing("payment_record", idOf(call));
    return record;
  }),
  post("/v1/invoices/:id/attach_payment", (call) => {
    const { world, params } = call;
    const invoice = invoiceOf(world, idOf(call));
    const id = params.required("payment_record");
    const record = world.store.get("payment_record", id);
    if (!record) throw resourceMissing("payment_record", id, "payment_record");
    attachRecord(world, invoice, record.id, record.amount_guaranteed.value);
    return invoice;
  }),
];
