import { get, post } from "../../service/route.ts";
import { createCreditNote, voidCreditNote } from "../billing/creditnotes.ts";
import type { CreditNote } from "../core/wire.ts";
import type { World } from "../core/world.ts";
import { resourceMissing } from "../http/errors.ts";
import { newestFirst, pageOf } from "../http/list.ts";
import { idOf, type Route } from "../http/route.ts";
import { invoiceOf } from "./invoices.ts";

function noteOf(world: World, id: string): CreditNote {
  const note = world.store.get("credit_note", id);
  if (!note) throw resourceMissing("credit note", id);
  return note;
}

export const creditNoteRoutes: Route[] = [
  post("/v1/credit_notes", ({ world, params }) =>
    createCreditNote(world, invoiceOf(world, params.required("invoice"), "invoice"), params),
  ),
  get("/v1/credit_notes", ({ world, params }) => {
    const invoice = params.text("invoice");
    const customer = params.text("customer");
    const found = world.store.where(
      "credit_note",
      (it) => (!invoice || it.invoice === invoice) && (!customer || it.customer === customer),
    );
    return pageOf(newestFirst(found), params, "/v1/credit_notes");
  }),
  get("/v1/credit_notes/:id", (call) => noteOf(call.world, idOf(call))),
  get("/v1/credit_notes/:id/lines", (call) => {
    const { lines } = noteOf(call.world, idOf(call));
    return pageOf([...lines.data], call.params, lines.url);
  }),
  post("/v1/credit_notes/:id/void", (call) => voidCreditNote(call.world, noteOf(call.world, idOf(call)))),
];
