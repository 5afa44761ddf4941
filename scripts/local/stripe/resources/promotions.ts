import { del, get, post } from "../../service/route.ts";
import { change, emit } from "../core/events.ts";
import { newId, randomToken } from "../core/ids.ts";
import type { Coupon, PromotionCode, TaxRate } from "../core/wire.ts";
import type { World } from "../core/world.ts";
import { invalidRequest, missingParam, resourceMissing } from "../http/errors.ts";
import { newestFirst, pageOf } from "../http/list.ts";
import { mergedMetadata, type Params } from "../http/params.ts";
import { idOf, type Route } from "../http/route.ts";

function couponOf(world: World, id: string, param = "id"): Coupon {
  const coupon = world.store.get("coupon", id);
  if (!coupon) throw resourceMissing("coupon", id, param);
  return coupon;
}

function createCoupon(world: World, params: Params): Coupon {
  const percent = params.number("percent_off") ?? null;
  const amount = params.integer("amount_off") ?? null;
  if (percent === null && amount === null) throw missingParam("percent_off");
  const coupon = world.store.insert<"coupon">({
    id: params.text("id") ?? randomToken(8),
    object: "coupon",
    amount_off: amount,
    created: world.wallSeconds(),
    currency: params.text("currency") ?? null,
    duration: params.choice("duration", ["forever", "once", "repeating"]) ?? "once",
    duration_in_months: params.integer("duration_in_months") ?? null,
    livemode: false,
    max_redemptions: params.integer("max_redemptions") ?? null,
    metadata: mergedMetadata({}, params.hash("metadata")),
    name: params.text("name") ?? null,
    percent_off: percent,
    redeem_by: params.integer("redeem_by") ?? null,
    times_redeemed: 0,
    valid: true,
  });
  emit(world, "coupon.created", coupon);
  return coupon;
}

export const couponRoutes: Route[] = [
  post("/v1/coupons", ({ world, params }) => createCoupon(world, params)),
  get("/v1/coupons", ({ world, params }) =>
    pageOf(newestFirst(world.store.all("coupon")), params, "/v1/coupons"),
  ),
  get("/v1/coupons/:id", (call) => couponOf(call.world, idOf(call))),
  post("/v1/coupons/:id", (call) => {
    const coupon = couponOf(call.world, idOf(call));
    change(call.world, "coupon.updated", coupon, (it) => {
      it.metadata = mergedMetadata(it.metadata, call.params.hash("metadata"));
      it.name = call.params.text("name") ?? it.name;
    });
    return coupon;
  }),
  del("/v1/coupons/:id", (call) => {
    const coupon = couponOf(call.world, idOf(call));
    const tombstone = call.world.store.delete("coupon", coupon.id);
    emit(call.world, "coupon.deleted", { ...coupon, valid: false });
    return tombstone;
  }),
];

function codeOf(world: World, id: string): PromotionCode {
  const code = world.store.get("promotion_code", id);
  if (!code) throw resourceMissing("promotion code", id);
  return code;
}

export const promotionCodeRoutes: Route[] = [
  post("/v1/promotion_codes", ({ world, params }) => {
    // Before `promotion` there was `coupon`; the CLI still sends it.
    const coupon = params.child("promotion")?.text("coupon") ?? params.required("coupon");
    couponOf(world, coupon, "coupon");
    const wanted = params.text("code") ?? randomToken(8).toUpperCase();
    if (world.store.where("promotion_code", (it) => it.active && it.code === wanted)[0]) {
      throw invalidRequest(`An active promotion code with \`code: ${wanted}\` already exists.`, {
        code: "resource_already_exists",
      });
    }
    const code = world.store.insert<"promotion_code">({
      id: newId("promo"),
      object: "promotion_code",
      active: params.boolean("active") ?? true,
      code: wanted,
      created: world.wallSeconds(),
      customer: params.text("customer") ?? null,
      customer_account: null,
      expires_at: params.integer("expires_at") ?? null,
      livemode: false,
      max_redemptions: params.integer("max_redemptions") ?? null,
      metadata: mergedMetadata({}, params.hash("metadata")),
      promotion: { coupon, type: "coupon" },
      restrictions: { first_time_transaction: false, minimum_amount: null, minimum_amount_currency: null },
      times_redeemed: 0,
    });
    emit(world, "promotion_code.created", code, null);
    return code;
  }),
  get("/v1/promotion_codes", ({ world, params }) => {
    const code = params.text("code");
    const active = params.boolean("active");
    const found = world.store.where(
      "promotion_code",
      (it) => (!code || it.code === code) && (active === undefined || it.active === active),
    );
    return pageOf(newestFirst(found), params, "/v1/promotion_codes");
  }),
  get("/v1/promotion_codes/:id", (call) => codeOf(call.world, idOf(call))),
  post("/v1/promotion_codes/:id", (call) => {
    const code = codeOf(call.world, idOf(call));
    change(
      call.world,
      "promotion_code.updated",
      code,
      (it) => {
        it.active = call.params.boolean("active") ?? it.active;
        it.metadata = mergedMetadata(it.metadata, call.params.hash("metadata"));
      },
      null,
    );
    return code;
  }),
];

function rateOf(world: World, id: string): TaxRate {
  const rate = world.store.get("tax_rate", id);
  if (!rate) throw resourceMissing("tax rate", id);
  return rate;
}

export const taxRateRoutes: Route[] = [
  post("/v1/tax_rates", ({ world, params }) => {
    const percentage = params.number("percentage");
    if (percentage == null) throw missingParam("percentage");
    const rate = world.store.insert<"tax_rate">({
      id: newId("txr"),
      object: "tax_rate",
      active: params.boolean("active") ?? true,
      country: params.text("country") ?? null,
      created: world.wallSeconds(),
      description: params.text("description") ?? null,
      display_name: params.required("display_name"),
      effective_percentage: null,
      flat_amount: null,
      inclusive: params.boolean("inclusive") ?? false,
      jurisdiction: params.text("jurisdiction") ?? null,
      jurisdiction_level: null,
      livemode: false,
      metadata: mergedMetadata({}, params.hash("metadata")),
      percentage,
      rate_type: "percentage",
      state: params.text("state") ?? null,
      tax_type: null,
    });
    emit(world, "tax_rate.created", rate);
    return rate;
  }),
  get("/v1/tax_rates", ({ world, params }) =>
    pageOf(newestFirst(world.store.all("tax_rate")), params, "/v1/tax_rates"),
  ),
  get("/v1/tax_rates/:id", (call) => rateOf(call.world, idOf(call))),
  post("/v1/tax_rates/:id", (call) => {
    const rate = rateOf(call.world, idOf(call));
    change(call.world, "tax_rate.updated", rate, (it) => {
      it.active = call.params.boolean("active") ?? it.active;
      it.metadata = mergedMetadata(it.metadata, call.params.hash("metadata"));
    });
    return rate;
  }),
];
