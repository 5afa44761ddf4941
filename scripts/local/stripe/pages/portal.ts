import type { Env, Hono } from "hono";
import { html } from "hono/html";
import { periodEnd, scheduleSubscription } from "../billing/schedule.ts";
import { leaveInPortal, remainingShare } from "../billing/subscriptions.ts";
import { updateSubscription } from "../billing/updates.ts";
import { change } from "../core/events.ts";
import { money } from "../core/money.ts";
import type { Customer, PortalSession, Price, Subscription } from "../core/wire.ts";
import { recordEffect, timeOf, type World } from "../core/world.ts";
import { Params } from "../http/params.ts";
import { findTestCard } from "../payments/cards.ts";
import { attach, createCard } from "../payments/instruments.ts";
import { act, type Pages } from "./hosted.ts";
import { cardChoice, dayOf, errorNote, type Markup, page } from "./layout.ts";

/** A portal's link is good for this many seconds, as at Stripe. */
const lifetimeSeconds = 300;

/** The session behind a link: `bps_…_secret`; gone after a few minutes. */
function sessionBehind(world: World, token: string): PortalSession | undefined {
  const session = world.store.get("billing_portal.session", token.slice(0, token.lastIndexOf("_")));
  if (!session?.url.endsWith(`/${token}`)) return undefined;
  const customer = world.store.get("customer", session.customer) ?? null;
  return timeOf(world, customer) - session.created <= lifetimeSeconds ? session : undefined;
}

function running(world: World, customer: string): Subscription[] {
  return world.store
    .related("subscription", "customer", customer)
    .filter((it) => !["canceled", "incomplete_expired"].includes(it.status));
}

const nameOf = (world: World, price: Price | undefined, otherwise: string): string =>
  world.store.get("product", typeof price?.product === "string" ? price.product : "")?.name ?? otherwise;

const costOf = (price: Price, quantity: number): number => (price.unit_amount ?? 0) * quantity;

function priceLine(price: Price, quantity: number): string {
  return `${money(costOf(price, quantity), price.currency)} per ${price.recurring?.interval ?? "payment"}`;
}

/** What a change to a price costs now: what is left of the period at the new price, less what is left of what was paid. */
function dueNow(world: World, subscription: Subscription, price: Price): number {
  const item = subscription.items.data[0];
  if (!item) return 0;
  const quantity = item.quantity ?? 1;
  const share = remainingShare(subscription, timeOf(world, subscription));
  const isSamePeriod = item.price.recurring?.interval === price.recurring?.interval;
  const unused = Math.round(costOf(item.price, quantity) * share);
  return Math.round(costOf(price, quantity) * (isSamePeriod ? share : 1)) - unused;
}

/** The prices that the portal's configuration offers instead of the present one, in the subscription's currency. */
function offered(world: World, session: PortalSession, subscription: Subscription): Price[] {
  const { products } = world.store.get("billing_portal.configuration", String(session.configuration))
    ?.features.subscription_update ?? { products: [] };
  const present = subscription.items.data[0]?.price.id;
  return (products ?? [])
    .flatMap(({ prices }) => prices)
    .flatMap((id) => world.store.get("price", id) ?? [])
    .filter((it) => it.active && it.currency === subscription.currency && it.id !== present);
}

function flowPage(world: World, session: PortalSession, problem: string | null): Markup | undefined {
  const { flow } = session;
  if (!flow) return undefined;
  const back = session.return_url ? html`<p><a href="${session.return_url}">Back</a></p>` : "";
  if (flow.type === "payment_method_update") {
    return page(
      "Your payment method",
      html`${errorNote(problem)}<form method="post">${cardChoice()}<button name="action" value="card">Use this card</button></form>${back}`,
    );
  }
  const id = flow.subscription_cancel?.subscription ?? flow.subscription_update?.subscription ?? "";
  const subscription = world.store.get("subscription", id);
  const item = subscription?.items.data[0];
  if (!subscription || !item) return undefined;
  const name = nameOf(world, item.price, id);
  if (flow.type === "subscription_cancel") {
    return page(
      `Cancel ${name}`,
      html`${errorNote(problem)}<p>Your subscription ends on ${dayOf(periodEnd(subscription))}, and you can use it until then.</p>
<form method="post"><input type="hidden" name="subscription" value="${id}"><button name="action" value="leave">Cancel subscription</button></form>${back}`,
    );
  }
  const quantity = item.quantity ?? 1;
  return page(
    `Change ${name}`,
    html`${errorNote(problem)}<p>You have ${name} at ${priceLine(item.price, quantity)}.</p>
${offered(world, session, subscription).map((it) => {
  const due = dueNow(world, subscription, it);
  return html`<form method="post"><input type="hidden" name="subscription" value="${id}"><input type="hidden" name="price" value="${it.id}">
<p><b>${nameOf(world, it, it.id)}</b> · ${priceLine(it, quantity)}<br><span class="note">${due > 0 ? `Due now: ${money(due, it.currency)}` : `Credited: ${money(-due, it.currency)}`}</span></p>
<button name="action" value="change">Change to ${nameOf(world, it, it.id)}, ${priceLine(it, quantity)}</button></form>`;
})}${back}`,
  );
}

/** Where the page leads once its task is done; undefined: it stays. */
function completion({ flow }: PortalSession): string | undefined {
  return flow?.after_completion.redirect?.return_url ?? undefined;
}

function subscriptionRow(world: World, subscription: Subscription): Markup {
  const item = subscription.items.data[0];
  const name = world.store.get("product", item?.price.product ?? "")?.name ?? subscription.id;
  const end = periodEnd(subscription);
  const leaving = subscription.cancel_at !== null && subscription.cancel_at <= end;
  const when = dayOf(end);
  return html`<form method="post">
<p><b>${name}</b> · ${money(item?.price.unit_amount ?? 0, subscription.currency)} · ${subscription.status}<br>
<span class="note">${leaving ? `Ends on ${when}` : `Renews on ${when}`}</span></p>
<input type="hidden" name="subscription" value="${subscription.id}">
<button class="plain" name="action" value="${leaving ? "stay" : "leave"}">${leaving ? "Don't cancel" : "Cancel"}</button>
</form>`;
}

function portalPage(world: World, session: PortalSession, problem: string | null): Markup {
  const customer = world.store.get("customer", session.customer);
  const method = world.store.get("payment_method", customer?.invoice_settings.default_payment_method ?? "");
  const invoices = world.store
    .where("invoice", (it) => it.customer === session.customer && it.number !== null)
    .reverse()
    .slice(0, 12);
  return page(
    "Your billing",
    html`${errorNote(problem)}
${running(world, session.customer).map((it) => subscriptionRow(world, it))}
<p>Card: ${method?.card ? `${method.card.brand} •••• ${method.card.last4}` : "none"}</p>
<form method="post">${cardChoice()}<button name="action" value="card">Use this card</button></form>
<table>${invoices.map(
      (it) =>
        html`<tr><td><a href="${it.hosted_invoice_url ?? ""}">${it.number}</a> · ${it.status}</td><td>${money(it.total, it.currency)}</td></tr>`,
    )}</table>
${session.return_url ? html`<p><a href="${session.return_url}">Back</a></p>` : ""}`,
  );
}

function changeCard(world: World, customer: Customer, card: string): void {
  const testCard = findTestCard(card);
  if (!testCard) return;
  const method = createCard(world, testCard, undefined, customer);
  attach(world, method, customer);
  change(world, "customer.updated", customer, (it) => {
    it.invoice_settings.default_payment_method = method.id;
  });
}

function changePrice(world: World, session: PortalSession, subscription: Subscription, price: string): void {
  const item = subscription.items.data[0];
  if (!item || !offered(world, session, subscription).some((it) => it.id === price)) return;
  const configuration = world.store.get("billing_portal.configuration", String(session.configuration));
  const proration = configuration?.features.subscription_update.proration_behavior ?? "none";
  updateSubscription(
    world,
    subscription,
    new Params({ items: [{ id: item.id, price }], proration_behavior: proration }),
  );
}

/** The customer portal: cancel, come back, change the card, see invoices. */
export function addPortalPages<E extends Env>(app: Hono<E>, pages: Pages): void {
  const { world } = pages;
  const gone = page("Nothing here", html`<p>This link has expired.</p>`);

  const shown = (session: PortalSession, problem: string | null): Markup =>
    flowPage(world, session, problem) ?? portalPage(world, session, problem);

  app.get("/p/session/:token", (context) => {
    const session = sessionBehind(world, context.req.param("token"));
    return session ? context.html(shown(session, null)) : context.html(gone, 404);
  });
  app.post("/p/session/:token", async (context) => {
    const session = sessionBehind(world, context.req.param("token"));
    const customer = world.store.get("customer", session?.customer ?? "");
    if (!session || !customer) return context.html(gone, 404);
    const form = await context.req.parseBody();
    const problem = act(pages, () => {
      if (form.action === "card") changeCard(world, customer, String(form.payment_method ?? ""));
      const subscription = running(world, customer.id).find((it) => it.id === form.subscription);
      if (!subscription) return;
      if (form.action === "change") {
        changePrice(world, session, subscription, String(form.price ?? ""));
        return;
      }
      change(world, "customer.subscription.updated", subscription, (it) =>
        leaveInPortal(world, it, form.action === "leave"),
      );
      recordEffect(world, "subscription.updated", subscription, null);
      scheduleSubscription(world, subscription);
    });
    const target = completion(session);
    if (problem === null && target !== undefined) return context.redirect(target, 303);
    return context.html(shown(session, problem), problem === null ? 200 : 402);
  });
}
