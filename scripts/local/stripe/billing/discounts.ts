import { change, emit } from "../core/events.ts";
import { newId } from "../core/ids.ts";
import type { Coupon, Customer, Discount, PromotionCode, Subscription } from "../core/wire.ts";
import { timeOf, type World } from "../core/world.ts";
import { invalidRequest, resourceMissing } from "../http/errors.ts";
import type { Params } from "../http/params.ts";
import { periodBoundary } from "./periods.ts";

export interface Redemption {
  coupon: string;
  customer: Customer;
  subscription?: Subscription;
  promotionCode?: string;
  /** The discount this one takes the place of. */
  replaces?: Discount | null;
  /** Checkout session it was entered in. */
  session?: string;
}

function validCoupon(world: World, id: string): Coupon {
  const coupon = world.store.get("coupon", id);
  if (!coupon) throw resourceMissing("coupon", id, "coupon");
  if (!coupon.valid)
    throw invalidRequest(`Coupon ${id} is expired and cannot be applied.`, { code: "coupon_expired" });
  return coupon;
}

/** When a coupon stops counting, if it does; `once` ends with the invoice that used it. */
function endOf(coupon: Coupon, start: number): number | null {
  if (coupon.duration !== "repeating") return null;
  return periodBoundary(start, { interval: "month", interval_count: coupon.duration_in_months ?? 1 }, 1);
}

/** Give a customer, or one of their subscriptions, a coupon's discount. */
export function redeem(world: World, redemption: Redemption): Discount {
  const { customer, subscription, promotionCode, replaces, session } = redemption;
  const coupon = validCoupon(world, redemption.coupon);
  const start = timeOf(world, customer);
  const discount = world.store.insert<"discount">({
    id: newId("di"),
    object: "discount",
    checkout_session: session ?? null,
    customer: customer.id,
    customer_account: null,
    end: endOf(coupon, start),
    invoice: null,
    invoice_item: null,
    promotion_code: promotionCode ?? null,
    source: { coupon: coupon.id, type: "coupon" },
    start,
    subscription: subscription?.id ?? null,
    subscription_item: null,
  });
  coupon.times_redeemed += 1;
  if (coupon.max_redemptions !== null && coupon.times_redeemed >= coupon.max_redemptions)
    coupon.valid = false;
  if (replaces) {
    emit(world, "customer.discount.updated", discount, customer, {
      id: replaces.id,
      source: { coupon: replaces.source.coupon },
    });
  } else emit(world, "customer.discount.created", discount, customer);
  return discount;
}

/** Take a customer's discount away. */
export function removeDiscount(world: World, customer: Customer): object {
  const { discount } = customer;
  if (!discount) throw resourceMissing("discount", "", "id");
  customer.discount = null;
  world.store.delete("discount", discount.id);
  emit(world, "customer.discount.deleted", discount, customer);
  return { ...discount, deleted: true };
}

/** The live promotion code of an id. */
export function promotionCodeOf(world: World, id: string, param: string): PromotionCode {
  const code = world.store.get("promotion_code", id);
  if (!code) throw resourceMissing("promotion code", id, param);
  if (!code.active) {
    throw invalidRequest("This promotion code is not active.", { code: "coupon_expired", param });
  }
  return code;
}

/** The discounts that `discounts[]` (or the older `coupon`, `promotion_code`) ask for, redeemed. */
export function discountsFrom(
  world: World,
  params: Params,
  customer: Customer,
  subscription: Subscription,
): Discount[] | undefined {
  const entries = params.children("discounts");
  const coupon = params.text("coupon");
  const promotion = params.text("promotion_code");
  if (!entries && !coupon && !promotion) return undefined;
  const wanted = (entries ?? []).map((it) => ({
    coupon: it.text("coupon"),
    promotion: it.text("promotion_code"),
  }));
  if (coupon || promotion) wanted.push({ coupon, promotion });
  return wanted.map((it) => {
    const code = it.promotion ? promotionCodeOf(world, it.promotion, "discounts") : undefined;
    if (code) code.times_redeemed += 1;
    const id = code?.promotion.coupon ?? it.coupon;
    if (!id) throw invalidRequest("You must provide a coupon or a promotion code.", { param: "discounts" });
    return redeem(world, { coupon: id, customer, subscription, promotionCode: code?.id });
  });
}

/** What a discount takes off an amount (both in the currency's smallest unit, not below zero). */
export function amountOff(world: World, discount: Discount, amount: number): number {
  const coupon = discount.source.coupon ? world.store.get("coupon", discount.source.coupon) : undefined;
  if (!coupon || amount <= 0) return 0;
  const off =
    coupon.percent_off !== null ? Math.round((amount * coupon.percent_off) / 100) : (coupon.amount_off ?? 0);
  return Math.min(amount, off);
}

/** Discounts an invoice of this customer and subscription gets at a moment. */
export function discountsAt(
  world: World,
  customer: Customer,
  subscription: Subscription | null,
  at: number,
): Discount[] {
  const own = (subscription?.discounts ?? []).flatMap((id) => world.store.get("discount", id) ?? []);
  const all = own.length > 0 ? own : customer.discount ? [customer.discount] : [];
  return all.filter((discount) => discount.end === null || discount.end > at);
}

/** A coupon for one invoice has been used on this one. */
export function useUp(
  world: World,
  discounts: Discount[],
  subscription: Subscription | null,
  at: number,
  announced: boolean,
): void {
  for (const discount of discounts) {
    const coupon = discount.source.coupon ? world.store.get("coupon", discount.source.coupon) : undefined;
    if (coupon?.duration !== "once") continue;
    discount.end = at;
    if (!subscription?.discounts.includes(discount.id)) continue;
    const drop = (it: Subscription): void => {
      it.discounts = it.discounts.filter((id) => id !== discount.id);
    };
    // Before the subscription has been announced, nobody has seen it with the discount.
    if (announced) change(world, "customer.subscription.updated", subscription, drop);
    else drop(subscription);
  }
}
