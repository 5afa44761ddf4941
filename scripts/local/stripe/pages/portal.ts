import type { Env, Hono } from "hono";
import { html } from "hono/html";
import { periodEnd, scheduleSubscription } from "../billing/schedule.ts";
import { leaveInPortal } from "../billing/subscriptions.ts";
import { change } from "../core/events.ts";
import { money } from "../core/money.ts";
import type { Customer, PortalSession, Subscription } from "../core/wire.ts";
import { recordEffect, timeOf, type World } from "../core/world.ts";
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

/** The customer portal: cancel, come back, change the card, see invoices. */
export function addPortalPages<E extends Env>(app: Hono<E>, pages: Pages): void {
  const { world } = pages;
  const gone = page("Nothing here", html`<p>This link has expired.</p>`);

  app.get("/p/session/:token", (context) => {
    const session = sessionBehind(world, context.req.param("token"));
    return session ? context.html(portalPage(world, session, null)) : context.html(gone, 404);
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
      change(world, "customer.subscription.updated", subscription, (it) =>
        leaveInPortal(world, it, form.action === "leave"),
      );
      recordEffect(world, "subscription.updated", subscription, null);
      scheduleSubscription(world, subscription);
    });
    return context.html(portalPage(world, session, problem), problem === null ? 200 : 402);
  });
}
