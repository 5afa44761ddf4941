import { del, get, post } from "../../service/route.ts";
import { customerOf } from "../billing/customers.ts";
import { change, emit } from "../core/events.ts";
import { newId } from "../core/ids.ts";
import type { Card } from "../core/wire.ts";
import type { World } from "../core/world.ts";
import { resourceMissing } from "../http/errors.ts";
import { pageOf } from "../http/list.ts";
import { mergedMetadata } from "../http/params.ts";
import { type Call, idOf, type Route } from "../http/route.ts";
import { findTestCard } from "../payments/cards.ts";
import { behaviourFor, declineError } from "../payments/instruments.ts";

function cardOf(world: World, id: string, customer: string): Card {
  const card = world.store.get("card", id);
  if (card?.customer !== customer) throw resourceMissing("source", id);
  return card;
}

/** Cards saved the older way, from tokens. */
function createSource(call: Call): Card {
  const { world, params } = call;
  const customer = customerOf(world, idOf(call));
  const token = params.required("source");
  const testCard = findTestCard(token);
  if (!testCard) throw resourceMissing("token", token, "source");
  const card: Card & { object: "card" } = {
    id: newId("card"),
    object: "card",
    address_city: null,
    address_country: null,
    address_line1: null,
    address_line1_check: null,
    address_line2: null,
    address_state: null,
    address_zip: null,
    address_zip_check: null,
    allow_redisplay: "unspecified",
    brand: testCard.brand === "visa" ? "Visa" : testCard.brand,
    country: testCard.country,
    customer: customer.id,
    cvc_check: "pass",
    dynamic_last4: null,
    exp_month: 12,
    exp_year: 2030,
    fingerprint: testCard.number.slice(-8),
    funding: testCard.funding,
    last4: testCard.number.slice(-4),
    metadata: mergedMetadata({}, params.hash("metadata")),
    name: null,
    regulated_status: "unregulated",
    tokenization_method: null,
  };
  world.store.hidden.instruments.set(card.id, { number: testCard.number, setUp: false });
  const { declined } = behaviourFor(world, card.id);
  if (declined) throw declineError(declined);
  world.store.insert<"card">(card);
  emit(world, "customer.source.created", card);
  if (customer.default_source === null) {
    change(world, "customer.updated", customer, (it) => {
      it.default_source = card.id;
    });
  }
  return card;
}

export const sourceRoutes: Route[] = [
  post("/v1/customers/:id/sources", createSource),
  get("/v1/customers/:id/sources", (call) => {
    const customer = customerOf(call.world, idOf(call));
    const found = call.world.store.where("card", (it) => it.customer === customer.id);
    return pageOf(found.reverse(), call.params, `/v1/customers/${customer.id}/sources`);
  }),
  get("/v1/customers/:id/sources/:source", (call) => cardOf(call.world, call.path.source ?? "", idOf(call))),
  post("/v1/customers/:id/sources/:source", (call) => {
    const card = cardOf(call.world, call.path.source ?? "", idOf(call));
    change(call.world, "customer.source.updated", card, (it) => {
      it.metadata = mergedMetadata(it.metadata, call.params.hash("metadata"));
      it.exp_month = call.params.integer("exp_month") ?? it.exp_month;
      it.exp_year = call.params.integer("exp_year") ?? it.exp_year;
    });
    return card;
  }),
  del("/v1/customers/:id/sources/:source", (call) => {
    const card = cardOf(call.world, call.path.source ?? "", idOf(call));
    const customer = customerOf(call.world, idOf(call));
    const tombstone = call.world.store.delete("card", card.id);
    emit(call.world, "customer.source.deleted", card);
    if (customer.default_source === card.id) {
      change(call.world, "customer.updated", customer, (it) => {
        it.default_source = null;
      });
    }
    return tombstone;
  }),
];
