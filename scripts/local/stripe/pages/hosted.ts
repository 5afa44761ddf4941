import type { Env, Hono } from "hono";
import { html } from "hono/html";
import { payInvoice } from "../billing/collection.ts";
import { completeSession } from "../checkout/completion.ts";
import { sessionLines } from "../checkout/sessions.ts";
import { randomToken } from "../core/ids.ts";
import { money } from "../core/money.ts";
import { transact } from "../core/transaction.ts";
import type { CheckoutSession, Invoice } from "../core/wire.ts";
import type { World } from "../core/world.ts";
import { StripeError } from "../http/errors.ts";
import { findTestCard } from "../payments/cards.ts";
import { authenticateIntent } from "../payments/confirmation.ts";
import { attach, createCard } from "../payments/instruments.ts";
import { cardChoice, dayOf, errorNote, type Markup, page } from "./layout.ts";
import { pdfOf } from "./pdf.ts";

export interface Pages {
  world: World;
  onChange: () => void;
}

/** Do what a person asked for on a page; returns what went wrong in words, or null. */
export function act({ world, onChange }: Pages, deed: () => void): string | null {
  try {
    const { apiVersion } = world;
    transact(world, { id: `req_${randomToken(14)}`, idempotencyKey: null, apiVersion }, deed);
    return null;
  } catch (error) {
    if (error instanceof StripeError) return error.message;
    throw error;
  } finally {
    onChange();
  }
}

function notFound(): Markup {
  return page("Nothing here", html`<p>This link is no longer valid.</p>`);
}

function checkoutPage(world: World, session: CheckoutSession, problem: string | null): Markup {
  const lines = sessionLines(world, session.id).map(
    (line) =>
      html`<tr><td>${line.description} × ${line.quantity}</td><td>${money(line.amount_total, line.currency)}</td></tr>`,
  );
  const email = session.customer_email ?? "";
  return page(
    "Check out",
    html`${errorNote(problem)}
<table>${lines}<tr><td><b>Due today</b></td><td><b>${money(session.amount_total ?? 0, session.currency ?? "usd")}</b></td></tr></table>
<form method="post">
<label>E-mail <input name="email" type="email" value="${email}" placeholder="ada@example.com"></label>
${cardChoice()}
<label>3-D Secure, if asked for
<select name="authenticate"><option value="succeed">pass</option><option value="fail">fail</option></select></label>
<button>Pay</button>
</form>
${session.cancel_url ? html`<p><a href="${session.cancel_url}">Cancel</a></p>` : ""}`,
  );
}

function invoicePage(invoice: Invoice, problem: string | null): Markup {
  const lines = invoice.lines.data.map(
    (line) => html`<tr><td>${line.description}</td><td>${money(line.amount, line.currency)}</td></tr>`,
  );
  const payable = invoice.status === "open" || invoice.status === "uncollectible";
  return page(
    `Invoice ${invoice.number}`,
    html`${errorNote(problem)}
<p>${invoice.customer_email ?? ""} · ${dayOf(invoice.effective_at)} · <b>${invoice.status}</b></p>
<table>${lines}<tr><td><b>Total</b></td><td><b>${money(invoice.total, invoice.currency)}</b></td></tr></table>
<p><a href="${invoice.invoice_pdf ?? ""}">Download PDF</a></p>
${payable ? html`<form method="post">${cardChoice()}<button>Pay ${money(invoice.amount_remaining, invoice.currency)}</button></form>` : ""}`,
  );
}

/** The invoice behind a link; the link's secret must be the invoice's. */
function invoiceBehind(world: World, id: string, secret: string): Invoice | undefined {
  const invoice = world.store.get("invoice", id);
  return invoice?.hosted_invoice_url?.endsWith(`/${secret}`) ? invoice : undefined;
}

function payOnPage(world: World, invoice: Invoice, card: string): void {
  const testCard = findTestCard(card);
  const customer = world.store.get("customer", invoice.customer ?? "");
  if (!testCard || !customer) return;
  const method = createCard(world, testCard, undefined, customer);
  attach(world, method, customer);
  payInvoice(world, invoice, { paymentMethod: method.id, outOfBand: false, offSession: false });
}

function pdfOfInvoice(invoice: Invoice): Uint8Array<ArrayBuffer> {
  return pdfOf([
    `Invoice ${invoice.number ?? ""} (${invoice.status ?? ""})`,
    `${invoice.customer_name ?? ""} ${invoice.customer_email ?? ""}`.trim(),
    `Date ${dayOf(invoice.effective_at)}`,
    "",
    ...invoice.lines.data.map((line) => `${line.description ?? ""}   ${money(line.amount, line.currency)}`),
    "",
    `Total ${money(invoice.total, invoice.currency)}`,
    "",
    "Local Stripe, test mode: no money moved.",
  ]);
}

/** The pages that links in objects lead to: checkout, invoices, 3-D Secure, receipts. */
export function addHostedPages<E extends Env>(app: Hono<E>, pages: Pages): void {
  const { world } = pages;

  app.get("/c/pay/:id", (context) => {
    const session = world.store.get("checkout.session", context.req.param("id"));
    return session?.status === "open"
      ? context.html(checkoutPage(world, session, null))
      : context.html(notFound(), 404);
  });
  app.post("/c/pay/:id", async (context) => {
    const session = world.store.get("checkout.session", context.req.param("id"));
    if (session?.status !== "open") return context.html(notFound(), 404);
    const form = await context.req.parseBody();
    const problem = act(pages, () => {
      completeSession(world, session, {
        paymentMethod: String(form.payment_method ?? "pm_card_visa"),
        email: form.email ? String(form.email) : null,
        name: null,
        authenticate: form.authenticate === "fail" ? "fail" : "succeed",
      });
    });
    if (problem !== null) return context.html(checkoutPage(world, session, problem), 402);
    const target = session.success_url ?? session.return_url ?? "/";
    return context.redirect(target.replaceAll("{CHECKOUT_SESSION_ID}", session.id), 303);
  });

  app.get("/i/:id/:secret", (context) => {
    const invoice = invoiceBehind(world, context.req.param("id"), context.req.param("secret"));
    return invoice ? context.html(invoicePage(invoice, null)) : context.html(notFound(), 404);
  });
  app.post("/i/:id/:secret", async (context) => {
    const invoice = invoiceBehind(world, context.req.param("id"), context.req.param("secret"));
    if (!invoice) return context.html(notFound(), 404);
    const form = await context.req.parseBody();
    const problem = act(pages, () => payOnPage(world, invoice, String(form.payment_method ?? "")));
    return context.html(invoicePage(invoice, problem), problem === null ? 200 : 402);
  });
  app.get("/i/:id/:secret/pdf", (context) => {
    const invoice = invoiceBehind(world, context.req.param("id"), context.req.param("secret"));
    if (!invoice) return context.html(notFound(), 404);
    return context.body(pdfOfInvoice(invoice), 200, { "content-type": "application/pdf" });
  });

  app.get("/authenticate/:id", (context) => {
    const intent = world.store.get("payment_intent", context.req.param("id"));
    if (intent?.status !== "requires_action") return context.html(notFound(), 404);
    const amount = money(intent.amount, intent.currency);
    return context.html(
      page(
        "Is this you?",
        html`<p>Your bank asks whether you want to pay ${amount}.</p>
<form method="post"><button name="outcome" value="succeed">Yes</button>
<button class="plain" name="outcome" value="fail">No</button></form>`,
      ),
    );
  });
  app.post("/authenticate/:id", async (context) => {
    const intent = world.store.get("payment_intent", context.req.param("id"));
    if (intent?.status !== "requires_action") return context.html(notFound(), 404);
    const back = intent.next_action?.redirect_to_url?.return_url ?? null;
    const form = await context.req.parseBody();
    act(pages, () => authenticateIntent(world, intent, form.outcome !== "fail"));
    if (back) return context.redirect(back, 303);
    return context.html(page("Thank you", html`<p>You can close this page.</p>`));
  });

  app.get("/receipts/:id", (context) => {
    const charge = world.store.get("charge", context.req.param("id"));
    if (!charge) return context.html(notFound(), 404);
    return context.html(
      page(
        "Receipt",
        html`<p>${money(charge.amount, charge.currency)} on ${dayOf(charge.created)}: ${charge.status}</p>`,
      ),
    );
  });
}
