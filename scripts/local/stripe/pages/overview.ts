import type { Env, Hono } from "hono";
import { html } from "hono/html";
import type { Pages } from "./hosted.ts";
import { dayOf, page } from "./layout.ts";

const shownEvents = 25;

/** What one sees when opening the server's address: who it is, what happened last, which checkouts wait. */
export function addOverviewPage<E extends Env>(app: Hono<E>, { world }: Pages): void {
  app.get("/", (context) => {
    const events = world.events.all().slice(-shownEvents).reverse();
    const waiting = world.store.where("checkout.session", (it) => it.status === "open" && it.url !== null);
    return context.html(
      page(
        "Local Stripe",
        html`<p>${world.store.count("customer")} customers, ${world.store.count("subscription")} subscriptions,
${world.store.count("invoice")} invoices. The API is under <code>/v1</code>, version ${world.apiVersion}.</p>
${waiting.map((it) => html`<p><a href="${it.url ?? ""}">Checkout that waits for a buyer</a></p>`)}
<table>${events.map(
          (event) =>
            html`<tr><td>${event.type}${event.pending_webhooks > 0 ? " (not delivered)" : ""}</td><td>${dayOf(event.created)}</td></tr>`,
        )}</table>`,
      ),
    );
  });
}
