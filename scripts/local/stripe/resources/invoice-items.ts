import { del, get, post } from "../../service/route.ts";
import { customerOf } from "../billing/customers.ts";
import { recompute } from "../billing/drafts.ts";
import { createInvoiceItem } from "../billing/invoiceitems.ts";
import { invoiceItemOf, itemLine } from "../billing/lines.ts";
import { change, emit } from "../core/events.ts";
import type { InvoiceItem } from "../core/wire.ts";
import type { World } from "../core/world.ts";
import { invalidRequest, resourceMissing } from "../http/errors.ts";
import { newestFirst, pageOf } from "../http/list.ts";
import { mergedMetadata } from "../http/params.ts";
import { idOf, type Route } from "../http/route.ts";
import { invoiceOf } from "./invoices.ts";

function itemOf(world: World, id: string): InvoiceItem {
  const item = world.store.get("invoiceitem", id);
  if (!item) throw resourceMissing("invoiceitem", id);
  return item;
}

/** The draft an item lies on, kept in step with the item. */
function refreshDraft(world: World, item: InvoiceItem, gone: boolean): void {
  const invoice = item.invoice ? world.store.get("invoice", item.invoice) : undefined;
  if (invoice?.status !== "draft") return;
  const others = invoice.lines.data.filter((line) => invoiceItemOf(line) !== item.id);
  const line = { ...itemLine(item), invoice: invoice.id };
  change(world, "invoice.updated", invoice, (it) => {
    it.lines.data = gone ? others : [...others, line];
    recompute(world, it);
  });
}

function refuseIfFrozen(world: World, item: InvoiceItem): void {
  const invoice = item.invoice ? world.store.get("invoice", item.invoice) : undefined;
  if (invoice && invoice.status !== "draft") {
    throw invalidRequest("This invoice item is on an invoice that is no longer editable.", {
      code: "invoice_not_editable",
    });
  }
}

export const invoiceItemRoutes: Route[] = [
  post("/v1/invoiceitems", ({ world, params }) => {
    const customer = customerOf(world, params.required("customer"), "customer");
    const invoiceId = params.text("invoice");
    const invoice = invoiceId ? invoiceOf(world, invoiceId, "invoice") : null;
    if (invoice && invoice.status !== "draft") {
      throw invalidRequest("You can only add invoice items to draft invoices.", {
        code: "invoice_not_editable",
      });
    }
    const item = createInvoiceItem(world, customer, params, {
      subscription: params.text("subscription") ?? null,
      invoice: invoice?.id ?? null,
    });
    refreshDraft(world, item, false);
    return item;
  }),
  get("/v1/invoiceitems", ({ world, params }) => {
    const customer = params.text("customer");
    const invoice = params.text("invoice");
    const pending = params.boolean("pending");
    const found = world.store.where(
      "invoiceitem",
      (it) =>
        (!customer || it.customer === customer) &&
        (!invoice || it.invoice === invoice) &&
        (pending === undefined || pending === (it.invoice === null)),
    );
    const byDate = found.map((item) => ({ item, id: item.id, created: item.date }));
    return pageOf(
      newestFirst(byDate).map(({ item }) => item),
      params,
      "/v1/invoiceitems",
    );
  }),
  get("/v1/invoiceitems/:id", (call) => itemOf(call.world, idOf(call))),
  post("/v1/invoiceitems/:id", (call) => {
    const item = itemOf(call.world, idOf(call));
    refuseIfFrozen(call.world, item);
    item.amount = call.params.integer("amount") ?? item.amount;
    item.net_amount = item.amount;
    const description = call.params.text("description");
    if (description !== undefined) item.description = description;
    item.metadata = mergedMetadata(item.metadata, call.params.hash("metadata"));
    refreshDraft(call.world, item, false);
    return item;
  }),
  del("/v1/invoiceitems/:id", (call) => {
    const item = itemOf(call.world, idOf(call));
    refuseIfFrozen(call.world, item);
    refreshDraft(call.world, item, true);
    const tombstone = call.world.store.delete("invoiceitem", item.id);
    emit(call.world, "invoiceitem.deleted", item);
    return tombstone;
  }),
];
