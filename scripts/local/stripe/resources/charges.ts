import { get, post } from "../../service/route.ts";
import { customerOf, shippingFrom } from "../billing/customers.ts";
import { change } from "../core/events.ts";
import type { Charge, Dispute, Refund } from "../core/wire.ts";
import type { World } from "../core/world.ts";
import { invalidRequest, missingParam, resourceMissing } from "../http/errors.ts";
import { newestFirst, pageOf, pageOfTable } from "../http/list.ts";
import { mergedMetadata, type Params } from "../http/params.ts";
import { idOf, type Route } from "../http/route.ts";
import { type ChargeRequest, captureCharge, failedCharge, succeededCharge } from "../payments/charges.ts";
import { closeDispute, updateDispute } from "../payments/disputes.ts";
import { behaviourFor, declineError, paymentMethodFor } from "../payments/instruments.ts";
import { refundCharge } from "../payments/refunds.ts";

function chargeOf(world: World, id: string, param = "id"): Charge {
  const charge = world.store.get("charge", id);
  if (!charge) throw resourceMissing("charge", id, param);
  return charge;
}

function refundOf(world: World, id: string): Refund {
  const refund = world.store.get("refund", id);
  if (!refund) throw resourceMissing("refund", id);
  return refund;
}

function disputeOf(world: World, id: string): Dispute {
  const dispute = world.store.get("dispute", id);
  if (!dispute) throw resourceMissing("dispute", id);
  return dispute;
}

/** The older way to charge: a token, straight away. */
function createCharge(world: World, params: Params): Charge {
  const amount = params.integer("amount");
  if (amount == null) throw missingParam("amount");
  const customer = params.text("customer");
  const owner = customer ? customerOf(world, customer, "customer") : null;
  const source =
    params.text("source") ?? owner?.default_source ?? owner?.invoice_settings.default_payment_method;
  if (!source) throw missingParam("source");
  const request: ChargeRequest = {
    amount,
    currency: params.required("currency").toLowerCase(),
    customer: customer ?? null,
    instrument: paymentMethodFor(world, source, "source", owner),
    paymentIntent: null,
    capture: params.boolean("capture") ?? true,
    description: params.text("description") ?? null,
    metadata: mergedMetadata({}, params.hash("metadata")),
    receiptEmail: params.text("receipt_email") ?? null,
    shipping: shippingFrom(params.child("shipping")),
    threeDSecure: false,
  };
  const behaviour = behaviourFor(world, request.instrument.id);
  const decline =
    behaviour.declined ?? behaviour.declinedLater ?? (behaviour.authentication && "authentication_required");
  if (!decline) return succeededCharge(world, request);
  const charge = failedCharge(world, request, decline);
  throw declineError(decline, { charge: charge.id });
}

export const chargeRoutes: Route[] = [
  post("/v1/charges", ({ world, params }) => createCharge(world, params)),
  get("/v1/charges", ({ world, params }) => {
    const customer = params.text("customer");
    const intent = params.text("payment_intent");
    return pageOfTable(
      world,
      "charge",
      params,
      "/v1/charges",
      (it) => (!customer || it.customer === customer) && (!intent || it.payment_intent === intent),
    );
  }),
  get("/v1/charges/:id", (call) => chargeOf(call.world, idOf(call))),
  post("/v1/charges/:id", (call) => {
    const charge = chargeOf(call.world, idOf(call));
    change(call.world, "charge.updated", charge, (it) => {
      it.metadata = mergedMetadata(it.metadata, call.params.hash("metadata"));
      const description = call.params.text("description");
      if (description !== undefined) it.description = description;
    });
    return charge;
  }),
  post("/v1/charges/:id/capture", (call) => {
    const charge = chargeOf(call.world, idOf(call));
    captureCharge(call.world, charge, call.params.integer("amount") ?? charge.amount);
    return charge;
  }),
];

function chargeToRefund(world: World, params: Params): Charge {
  const charge = params.text("charge");
  if (charge) return chargeOf(world, charge, "charge");
  const id = params.text("payment_intent");
  if (!id)
    throw invalidRequest(
      "One of the following params should be provided for this request: payment_intent or charge.",
    );
  const intent = world.store.get("payment_intent", id);
  if (!intent) throw resourceMissing("payment_intent", id, "payment_intent");
  if (!intent.latest_charge) {
    throw invalidRequest(`This PaymentIntent (${id}) does not have a successful charge to refund.`, {
      param: "payment_intent",
    });
  }
  return chargeOf(world, intent.latest_charge, "payment_intent");
}

export const refundRoutes: Route[] = [
  post("/v1/refunds", ({ world, params }) =>
    refundCharge(
      world,
      chargeToRefund(world, params),
      params.integer("amount") ?? null,
      params.choice("reason", ["duplicate", "fraudulent", "requested_by_customer"]) ?? null,
      mergedMetadata({}, params.hash("metadata")),
    ),
  ),
  get("/v1/refunds", ({ world, params }) => {
    const charge = params.text("charge");
    const intent = params.text("payment_intent");
    return pageOfTable(
      world,
      "refund",
      params,
      "/v1/refunds",
      (it) => (!charge || it.charge === charge) && (!intent || it.payment_intent === intent),
    );
  }),
  get("/v1/refunds/:id", (call) => refundOf(call.world, idOf(call))),
  post("/v1/refunds/:id", (call) => {
    const refund = refundOf(call.world, idOf(call));
    const merge = (it: Refund): void => {
      it.metadata = mergedMetadata(it.metadata, call.params.hash("metadata"));
    };
    const copy = structuredClone(refund);
    change(call.world, "refund.updated", refund, merge, refund);
    change(call.world, "charge.refund.updated", copy, merge, refund);
    return refund;
  }),
];

/** An appeal has evidence of its own, and takes no other. */
function refuseWrongEvidence(dispute: Dispute, appeals: boolean, given: boolean): void {
  if (!given || appeals === (dispute.status === "appeal_needs_response")) return;
  throw invalidRequest(
    appeals
      ? "Appeal evidence can only be submitted for disputes with a status of `appeal_needs_response`."
      : "Only appeal evidence can be updated during the appeal stage.",
    { param: appeals ? "evidence[appeal]" : "evidence" },
  );
}

export const disputeRoutes: Route[] = [
  get("/v1/disputes", ({ world, params }) => {
    const charge = params.text("charge");
    const intent = params.text("payment_intent");
    return pageOfTable(
      world,
      "dispute",
      params,
      "/v1/disputes",
      (it) => (!charge || it.charge === charge) && (!intent || it.payment_intent === intent),
    );
  }),
  get("/v1/disputes/:id", (call) => disputeOf(call.world, idOf(call))),
  post("/v1/disputes/:id", (call) => {
    const { params } = call;
    const evidence = params.child("evidence");
    const text = evidence?.text("uncategorized_text");
    const appeal = evidence?.child("appeal")?.child("card");
    const submit = params.boolean("submit") ?? evidence != null;
    const dispute = disputeOf(call.world, idOf(call));
    refuseWrongEvidence(dispute, appeal != null, evidence != null);
    const reason = appeal?.text("reason_for_filing");
    const files = appeal?.strings("supporting_files");
    return updateDispute(
      call.world,
      dispute,
      (it) => {
        it.metadata = mergedMetadata(it.metadata, params.hash("metadata"));
        if (text !== undefined) it.evidence.uncategorized_text = text;
        if (appeal) {
          const card = { ...it.evidence.appeal?.card, ...(files ? { supporting_files: files } : {}) };
          it.evidence.appeal = { card: { ...card, ...(reason ? { reason_for_filing: reason } : {}) } };
        }
      },
      evidence != null && submit,
    );
  }),
  post("/v1/disputes/:id/close", (call) =>
    closeDispute(call.world, disputeOf(call.world, idOf(call)), false),
  ),
];

export const balanceRoutes: Route[] = [
  get("/v1/balance_transactions", ({ world, params }) => {
    const source = params.text("source");
    const found = world.store.where("balance_transaction", (it) => !source || it.source === source);
    return pageOf(newestFirst(found), params, "/v1/balance_transactions");
  }),
  get("/v1/balance_transactions/:id", (call) => {
    const transaction = call.world.store.get("balance_transaction", idOf(call));
    if (!transaction) throw resourceMissing("balance transaction", idOf(call));
    return transaction;
  }),
];
