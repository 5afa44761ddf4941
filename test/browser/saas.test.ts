import type { Page } from "playwright-core";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { findChromium } from "../../emails/preview/photograph.ts";
import { replaceCard, setCardOutcome } from "../../scripts/local/stripe/buyer.ts";
import { eventually } from "../support/stack-project.ts";
import { BrowserWorld, DAY_S, type Person } from "./support/world.ts";

const chromium = await findChromium();
if (chromium === undefined) console.warn("The browser tests are skipped: no Chromium is installed.");

// The example application as its users see it, in Chromium, on the local stack.

let world: BrowserWorld;
beforeAll(async () => {
  if (chromium !== undefined) world = await BrowserWorld.open();
});
afterAll(() => world?.close());

const banner = (page: Page) => page.getByRole("region", { name: "Overdue payment" });

/** Day 0: the renewal's invoice, a draft for an hour, is charged in vain. Answers when, in Unix seconds. */
async function renewalFails(clock: string, customer: string): Promise<number> {
  const { stripe } = world.example;
  const [subscription] = (await stripe.subscriptions.list({ customer })).data;
  const item = subscription?.items.data[0];
  if (!item) throw new Error("there is no subscription");
  await setCardOutcome(stripe, String(subscription.default_payment_method), "insufficient_funds");
  await world.advance(clock, item.current_period_end + 3_660);
  return world.now;
}

/** Day by day, each with its daily run at nine (UTC), as cron calls it. */
async function liveUntilDay(clock: string, dayZero: number, last: number): Promise<void> {
  const nine = Math.floor(dayZero / DAY_S) * DAY_S + (9 * DAY_S) / 24;
  for (let at = nine; at < dayZero + (last + 1) * DAY_S; at += DAY_S) {
    if (at <= world.now || at - dayZero < 0) continue;
    await world.advance(clock, at);
    await world.runDunning();
  }
}

describe.skipIf(chromium === undefined)("somebody who pays for themselves", () => {
  let ada: Person;
  let otherTab: Page;
  let team: string;
  let clock: string;
  let customer: string;
  let dayZero: number;
  let announced: string;

  test("signs up and sees a wall, and what a plan costs", async () => {
    ada = await world.person("ada@example.com");
    await ada.page.goto("/");
    await ada.sees("Sign in");
    expect(await ada.problems("sign-in")).toEqual([]);
    await ada.signUp();
    await ada.sees("Name your team");
    expect(await ada.problems("first-team")).toEqual([]);
    team = await ada.createTeam("Ada Press");
    ({ clock, customer } = await world.customerOnClock(team, ada.email));
    await ada.sees("Reports need a plan");
    expect(await ada.problems("wall-without-plan")).toEqual([]);
    await ada.open("Pricing");
    await ada.sees("$12.00 per month");
    await ada.page.getByLabel("Yearly").check();
    await ada.sees("$120.00 per year");
    await ada.page.getByLabel("Currency").selectOption("eur");
    await ada.sees("€120.00 per year");
    await ada.page.getByLabel("Currency").selectOption("usd");
    await ada.page.getByLabel("Monthly").check();
    expect(await ada.problems("pricing")).toEqual([]);
  });

  test("leaves Stripe's page half-way, and nothing was bought", async () => {
    await ada.page.getByRole("button", { name: "Choose Solo" }).click();
    await ada.page.getByRole("link", { name: "Cancel" }).click();
    await ada.sees("Nothing was bought, and nothing was charged.");
    await ada.page.getByRole("button", { name: "Choose Solo" }).click();
    await ada.page.getByRole("heading", { name: "Check out" }).waitFor();
    const first = ada.page.url();
    await ada.page.goBack();
    // By the browser's own button too: the page is as it was, and its button can be pressed again.
    const choose = ada.page.getByRole("button", { name: "Choose Solo" });
    await choose.waitFor();
    await choose.click();
    await ada.page.getByRole("heading", { name: "Check out" }).waitFor();
    expect(ada.page.url()).toBe(first);
    expect(await world.sql`select from billing.subscriptions`).toHaveLength(0);
  });

  test("pays, and the feature opens in every tab without a reload", async () => {
    otherTab = await ada.context.newPage();
    await otherTab.goto("/reports");
    await ada.sees("Reports need a plan", otherTab);
    await otherTab.evaluate(() => {
      document.body.dataset.loaded = "once";
    });
    const { webhooks } = world.example.stack.stripe;
    webhooks.hold();
    await ada.pay();
    await ada.sees("We are waiting for Stripe’s confirmation.");
    expect(await ada.problems("welcome-waiting")).toEqual([]);
    await ada.sees("Reports need a plan", otherTab);
    webhooks.release();
    // From the webhook's commit to what is on the page: one round trip of Realtime, and a read.
    await eventually("the webhook is in", async () => {
      const rows = await world.sql`select from billing.entitlements where owner_id = ${team}`;
      return rows.length > 0;
    });
    const committed = performance.now();
    await otherTab.getByLabel("Title").waitFor();
    expect(performance.now() - committed).toBeLessThan(15_000);
    if (process.env.DUEBASE_PICTURES)
      console.log(`${Math.round(performance.now() - committed)} ms after the commit`);
    await ada.sees("Your plan is active");
    expect(await otherTab.evaluate(() => document.body.dataset.loaded)).toBe("once");
    await ada.page.getByRole("link", { name: "Go to your reports" }).click();
    await ada.sees("There are no reports yet");
    await ada.page.getByLabel("Title").fill("The first month");
    await ada.page.getByRole("button", { name: "Write report" }).click();
    await ada.page.getByRole("listitem").getByText("The first month").waitFor();
    expect(await ada.problems("reports")).toEqual([]);
  });

  test("sees plan, card, usage, credits and the invoice with its PDF", async () => {
    await ada.open("Billing");
    await ada.sees("1 of 20 used");
    await ada.sees("19 left");
    await ada.sees(/Visa ••••\s4242/);
    await ada.sees("$12.00 per month");
    const pdf = await ada.page.getByRole("link", { name: /Download PDF/ }).getAttribute("href");
    expect((await fetch(String(pdf))).headers.get("content-type")).toBe("application/pdf");
    expect(await ada.problems("billing")).toEqual([]);
  });

  test("changes the plan, cancels and takes it back on Stripe's pages", async () => {
    await ada.page.getByRole("button", { name: "Change plan" }).click();
    await ada.page
      .getByText(/Due now/)
      .first()
      .waitFor();
    await ada.page.getByRole("button", { name: "Change to Studio, $20.00 per month" }).click();
    await ada.sees("Studio");
    await ada.sees("$20.00 per month");
    // People take longer than a second: what a clock that stands still dates alike would have to be read from Stripe.
    await world.advance(clock, world.now + 60);
    await ada.page.getByRole("button", { name: "Cancel plan" }).click();
    await ada.page.getByRole("button", { name: "Cancel subscription" }).click();
    await ada.page.getByRole("button", { name: "Keep my subscription" }).waitFor();
    await world.advance(clock, world.now + 60);
    await ada.page.getByRole("button", { name: "Keep my subscription" }).click();
    await ada.page.getByRole("button", { name: "Don't cancel" }).click();
    await ada.page.getByRole("link", { name: "Back" }).click();
    await ada.page.getByRole("button", { name: "Cancel plan" }).waitFor();
  });

  test("is told on day 0 that the renewal failed, in every tab, and goes on using it", async () => {
    dayZero = await renewalFails(clock, customer);
    for (const page of [ada.page, otherTab]) {
      await banner(page).getByText("Your payment didn’t go through").waitFor();
      await banner(page).getByRole("link", { name: "Pay $20.00" }).waitFor();
    }
    await banner(ada.page).getByText("Everything keeps working in the meantime.").waitFor();
    await otherTab.getByLabel("Title").waitFor();
    expect(await ada.problems("overdue-day-0")).toEqual([]);
  });

  test("is warned on day 7 in the words of the final mail", async () => {
    await liveUntilDay(clock, dayZero, 7);
    await ada.page.reload();
    await banner(ada.page)
      .getByText(/Your subscription ends on/)
      .waitFor();
    await banner(ada.page)
      .getByText(/Without a payment, we will cancel your Studio subscription on/)
      .waitFor();
    announced =
      /ends on (.*)/.exec(
        String(
          await banner(ada.page)
            .getByText(/^Your subscription ends on/)
            .textContent(),
        ),
      )?.[1] ?? "";
    expect(announced).toMatch(/^\w+\s\d+,\s2\d{3}$/);
    expect(await ada.problems("overdue-day-7")).toEqual([]);
  });

  test("stands before the wall after the end, gives a new card in the portal, and comes back", async () => {
    await liveUntilDay(clock, dayZero, 11);
    await otherTab.getByRole("heading", { name: "Your subscription has ended" }).waitFor();
    expect(await otherTab.evaluate(() => document.body.dataset.loaded)).toBe("once");
    await ada.open("Reports");
    await ada.sees("Your subscription has ended");
    await ada.sees(`Your Studio subscription ended on ${announced}.`);
    await ada.page.getByRole("link", { name: "Pay invoice" }).waitFor();
    expect(await ada.problems("wall-after-end")).toEqual([]);
    await ada.open("Billing");
    await ada.page.getByRole("main").getByRole("button", { name: "Update payment method" }).click();
    await ada.page.getByLabel("Card").selectOption("pm_card_visa");
    await ada.page.getByRole("button", { name: "Use this card" }).click();
    await ada.page.getByRole("heading", { name: "Billing" }).waitFor();
    await ada.open("Pricing");
    await ada.page.getByRole("button", { name: "Choose Solo" }).click();
    await ada.pay();
    await ada.sees("Your plan is active");
    await otherTab.getByRole("listitem").getByText("The first month").waitFor();
  });
});

describe.skipIf(chromium === undefined)("a team", () => {
  let grace: Person;
  let bob: Person;
  let clock: string;
  let customer: string;
  let dayZero: number;

  test("is bought for by who manages it, and opens for who joins, by the seat", async () => {
    grace = await world.person("grace@example.com");
    await grace.signUp();
    const team = await grace.createTeam("Grace Works");
    ({ clock, customer } = await world.customerOnClock(team, grace.email));
    await grace.choose("Studio");
    await grace.pay();
    await grace.sees("Your plan is active");
    await grace.open("Team");
    await grace.sees("1 of 10 seats in use");
    await grace.page.getByLabel("Their email").fill("bob@example.com");
    await grace.page.getByRole("button", { name: "Invite" }).click();
    await grace.sees("Invited");
    expect(await grace.problems("team")).toEqual([]);

    bob = await world.person("bob@example.com");
    await bob.signUp();
    await bob.sees("You are invited to Grace Works.");
    expect(await bob.problems("invited")).toEqual([]);
    await bob.page.getByRole("button", { name: "Join Grace Works" }).click();
    await bob.page.getByLabel("Title").waitFor();
    await bob.open("Team");
    await bob.sees("2 of 10 seats in use");
    await bob.sees("Only those who manage the team can invite others.");
    await bob.open("Pricing");
    await bob.sees("Those who manage your team choose its plan.");
    expect(await bob.page.getByRole("button", { name: /^Change to/ }).count()).toBe(0);
    await bob.open("Billing");
    await bob.sees("Invoices and payment methods are shown to those who manage the team.");
    expect(await bob.problems("billing-of-a-member")).toEqual([]);
  });

  test("reads of a failed renewal in two ways: who manages it what to pay, a member that somebody has to", async () => {
    dayZero = await renewalFails(clock, customer);
    await banner(grace.page)
      .getByRole("link", { name: /^Pay \$/ })
      .waitFor();
    await banner(bob.page)
      .getByText("A payment for Studio is overdue. Those who manage your team have been told.")
      .waitFor();
    expect(await banner(bob.page).textContent()).not.toMatch(/\$|card|Pay/);
    expect(await bob.problems("overdue-of-a-member")).toEqual([]);
    await liveUntilDay(clock, dayZero, 7);
    for (const { page } of [grace, bob]) await page.reload();
    await banner(grace.page)
      .getByText(/Your subscription ends on/)
      .waitFor();
    await banner(bob.page)
      .getByText(/^Studio ends on .* unless it is paid/)
      .waitFor();
    await bob.open("Reports");
    await bob.page.getByLabel("Title").waitFor();
  });

  test("is told no more of it once a new card was given in the portal", async () => {
    await banner(grace.page).getByRole("button", { name: "Update payment method" }).click();
    await grace.page.getByLabel("Card").selectOption("pm_card_visa");
    await grace.page.getByRole("button", { name: "Use this card" }).click();
    await grace.page.getByRole("heading", { name: "Billing" }).waitFor();
    await world.settled();
    for (const { page } of [grace, bob]) await banner(page).waitFor({ state: "detached" });
  });

  test("shows the books to a member who becomes an admin, and nothing to who is removed", async () => {
    await grace.open("Team");
    await grace.page.getByLabel("Role of bob@example.com").selectOption("Admin");
    await bob.page.reload();
    await bob.open("Billing");
    await bob.page.getByRole("heading", { name: "Invoices" }).waitFor();
    await grace.page.getByRole("button", { name: "Remove bob@example.com" }).click();
    await grace.sees("1 of 10 seats in use");
    await bob.page.reload();
    await bob.sees("Name your team");
  });
});

describe.skipIf(chromium === undefined)("somebody who reads German", () => {
  let cy: Person;
  let team: string;

  test("reads all of it in German, and gets to the content with the keyboard", async () => {
    cy = await world.person("cy@example.com", { locale: "de-DE" });
    await cy.page.goto("/");
    await cy.sees("Anmelden");
    await cy.page.keyboard.press("Tab");
    expect(await cy.page.evaluate(() => document.activeElement?.textContent)).toBe("Zum Inhalt");
    expect(await cy.page.evaluate(() => document.documentElement.lang)).toBe("de");
    await cy.signUp();
    team = await cy.createTeam("Verlag Cy");
    await cy.page.getByRole("link", { name: "Tarife ansehen" }).press("Enter");
    await cy.page.getByRole("heading", { level: 1, name: "Preise" }).waitFor();
    expect(await cy.page.evaluate(() => document.activeElement?.tagName)).toBe("H1");
    await cy.page.getByText("12,00\u00a0€ pro Monat").waitFor();
    expect(await cy.problems("preise")).toEqual([]);
  });

  test("is told clearly that billing cannot be reached, and loses nothing", async () => {
    const { functions, stripe } = world.example.stack;
    const choose = cy.page.getByRole("button", { name: "Solo wählen" });
    await functions.undeploy("duebase-checkout");
    await choose.click();
    await cy.page
      .getByRole("alert")
      .getByText(/nicht erreichbar. Es wurde nichts geändert und nichts abgebucht/)
      .waitFor();
    expect(await cy.problems("nicht-erreichbar")).toEqual([]);
    await functions.deploy("duebase-checkout");
    await functions.ready(20_000);
    await choose.click();
    await functions.undeploy("duebase-stripe-webhook");
    await cy.pay();
    await cy.sees("Wir warten auf die Bestätigung von Stripe.");
    await cy.context.clock.fastForward(31_000);
    await cy.sees("Sie müssen nicht noch einmal bezahlen");
    expect(await cy.problems("noch-nicht-da")).toEqual([]);
    await functions.deploy("duebase-stripe-webhook");
    await functions.ready(20_000);
    await stripe.settled();
    await cy.sees("Ihr Tarif ist aktiv");
  });

  test("reads that the card expires and that the subscription is paused, in the words of the mails", async () => {
    const { stripe } = world.example;
    const [row] = await world.sql<{ id: string; card: string; ends: Date }[]>`
      select s.id, s.default_payment_method as card, s.current_period_end as ends
      from billing.subscriptions as s join billing.customers as c on c.id = s.customer where c.owner_id = ${team}`;
    if (!row) throw new Error("there is no subscription");
    await replaceCard(stripe, row.card, {
      exp_month: new Date().getUTCMonth() + 1,
      exp_year: new Date().getUTCFullYear(),
    });
    await world.settled();
    await cy.page.goto("/reports");
    await cy.page
      .getByRole("region", { name: "Karte läuft ab" })
      .getByText("Ihre Karte läuft bald ab")
      .waitFor();
    expect(await cy.problems("karte-laeuft-ab")).toEqual([]);
    await stripe.subscriptions.pause(row.id);
    await cy.page.getByRole("heading", { name: "Ihr Abonnement pausiert" }).waitFor();
    expect(await cy.problems("pausiert")).toEqual([]);
    await stripe.subscriptions.resume(row.id);
    await cy.page.getByLabel("Titel").waitFor();
  });
});
