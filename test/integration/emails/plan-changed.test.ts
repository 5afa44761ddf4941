import { afterEach, beforeEach, describe, expect, it } from "vitest";
import type { Subscription } from "../../../scripts/local/stripe/core/wire.ts";
import { invoice } from "../../support/stripe/invoices.ts";
import { DAY, type Item, NOW, type Subscriber, startSubscriber, subscribed } from "./subscriber.ts";

const UPDATED = "customer.subscription.updated";
const on = (items: Item[], values: Partial<Omit<Subscription, "items">> = {}) => subscribed(values, items);
const studio = on([{ price: "studio" }]);
const atelier = on([{ price: "atelier" }]);
const CHANGE = NOW + 10 * DAY;
/** When its mail leaves. */
const SENT = CHANGE + 180;
const charge = (amount: number, values: object = {}) =>
  invoice({
    id: "in_Change",
    created: CHANGE,
    customer: "cus_Ada",
    billing_reason: "subscription_update",
    status: "paid",
    currency: "eur",
    total: amount,
    amount_due: amount,
    amount_paid: amount,
    amount_remaining: 0,
    parent: {
      type: "subscription_details",
      quote_details: null,
      subscription_details: { subscription: "sub_Ada", metadata: {} },
    },
    ...values,
  } as never);

let ada: Subscriber;
afterEach(() => ada.close());
async function begin(locale: string, ...off: string[]) {
  ada = await startSubscriber(locale);
  await ada.database.sql`update billing.settings set emails_off = ${["payment-receipt", ...off]} where id`;
  await ada.tell("customer.subscription.created", NOW, studio);
}

describe.each([
  {
    locale: "en-IE",
    subject: "Your plan is now Atelier",
    sentences:
      "Since 11 October 2026, your plan is Atelier instead of Studio. It now costs €99.00 per month instead of €49.00 per month. For the change we charged €33.33.",
    facts: [
      "Previous plan: Studio",
      "New plan: Atelier",
      "Changed on: 11 October 2026",
      "Next payment: 31 October 2026",
    ],
    quantity: ["Your Studio subscription has changed", "Previous plan: Studio × 1", "New plan: Studio × 5"],
    undone: "the subscription no longer ends on 31 October 2026.",
  },
  {
    locale: "de",
    subject: "Ihr Tarif ist jetzt Atelier",
    sentences:
      "Seit dem 11. Oktober 2026 haben Sie den Tarif Atelier statt Studio. Das Abonnement kostet jetzt 99,00 € pro Monat statt 49,00 € pro Monat. Für die Änderung haben wir 33,33 € abgebucht.",
    facts: [
      "Bisheriger Tarif: Studio",
      "Neuer Tarif: Atelier",
      "Geändert am: 11. Oktober 2026",
      "Nächste Zahlung: 31. Oktober 2026",
    ],
    quantity: [
      "Ihr Abonnement „Studio“ hat sich geändert",
      "Bisheriger Tarif: Studio × 1",
      "Neuer Tarif: Studio × 5",
    ],
    undone: "Das Abonnement endet nicht mehr am 31. Oktober 2026.",
  },
])("a plan that changes, in $locale,", ({ locale, subject, sentences, facts, quantity, undone }) => {
  beforeEach(() => begin(locale));

  it("is mailed with the old one and the new one, from when, and what was charged", async () => {
    await ada.switchOn("plan-changed");
    await ada.tell(UPDATED, CHANGE, atelier, studio);
    await ada.tell("invoice.paid", CHANGE + 3, charge(3333));
    expect(await ada.mailsAt(CHANGE + 60)).toEqual([]);
    const [mail, ...more] = await ada.mailsAt(SENT);
    expect(more).toEqual([]);
    expect(mail).toMatchObject({ to: ["ada@example.com"], subject });
    expect(mail?.text).toContain(sentences);
    for (const fact of facts) expect(mail?.text).toContain(fact);
  });

  it("is mailed where only the quantity changed", async () => {
    await ada.switchOn("plan-changed");
    await ada.tell(UPDATED, CHANGE, on([{ price: "studio", quantity: 5 }]), studio);
    const [mail] = await ada.mailsAt(SENT);
    expect(mail?.subject).toBe(quantity[0]);
    for (const fact of quantity.slice(1)) expect(mail?.text).toContain(fact);
  });

  it("is mailed together with a cancellation that it takes back", async () => {
    await ada.switchOn("plan-changed", "cancellation-undone");
    const leaving = on([{ price: "studio" }], {
      cancel_at_period_end: true,
      cancel_at: NOW + 30 * DAY,
      canceled_at: NOW + DAY,
    });
    await ada.tell(UPDATED, NOW + DAY, leaving, studio);
    await ada.mailsAt(NOW + DAY + 5);
    await ada.tell(UPDATED, CHANGE, atelier, leaving);
    const [, mail, ...more] = await ada.mailsAt(SENT);
    expect(more).toEqual([]);
    expect(mail?.subject).toBe(subject);
    expect(mail?.text).toContain(undone);
  });

  it("is not sent unless settings say so", async () => {
    await ada.tell(UPDATED, CHANGE, atelier, studio);
    expect(await ada.mailsAt(SENT)).toEqual([]);
  });
});

describe("the mail of a changed plan", () => {
  beforeEach(async () => {
    await begin("en", "subscription-canceled");
    await ada.switchOn("plan-changed");
  });
  const subjects = async (seconds: number) => (await ada.mailsAt(seconds)).map(({ subject }) => subject);

  it.each<[string, Subscription]>([
    ["metadata", on([{ price: "studio" }], { metadata: { seat: "window" } })],
    ["a new period", subscribed({}, [{ price: "studio" }], { start: NOW + 30 * DAY, end: NOW + 60 * DAY })],
    [
      "a phase of a schedule that costs the same",
      on([{ price: "studioAgain" }], { schedule: "sub_sched_Ada" }),
    ],
    ["a proration's invoice", on([{ price: "studio" }], { latest_invoice: "in_Change" })],
    ["another billing day", on([{ price: "studio" }], { billing_cycle_anchor: NOW + DAY })],
  ])("is not sent for %s", async (_what, after) => {
    await ada.tell(UPDATED, CHANGE, after, studio);
    expect(await subjects(SENT)).toEqual([]);
  });

  it("says that a price was raised, under the name of a plan that stays", async () => {
    await ada.tell(UPDATED, CHANGE, on([{ price: "studioDearer" }], { schedule: "sub_sched_Ada" }), studio);
    const [mail] = await ada.mailsAt(SENT);
    expect(mail?.subject).toBe("Your Studio subscription has changed");
    expect(mail?.text).toContain("It now costs €59.00 per month instead of €49.00 per month.");
    expect(mail?.text).not.toMatch(/charged/);
  });

  it("is one for changes that follow each other, from the first state to the last", async () => {
    const five = on([{ price: "atelier", quantity: 5 }]);
    await ada.tell(UPDATED, CHANGE, atelier, studio);
    await ada.tell(UPDATED, CHANGE + 30, five, atelier);
    const [mail, ...more] = await ada.mailsAt(CHANGE + 400);
    expect(more).toEqual([]);
    expect(mail?.text).toContain("your plan is Atelier × 5 instead of Studio × 1.");
    expect(await ada.skipped()).toEqual(["told_with_a_later_one"]);
  });

  it("is the same one whichever change becomes known first", async () => {
    const five = on([{ price: "atelier", quantity: 5 }]);
    const first = ada.event(UPDATED, CHANGE, atelier, studio);
    const second = ada.event(UPDATED, CHANGE + 30, five, atelier);
    await ada.receive(second, CHANGE + 31);
    await ada.receive(first, CHANGE + 40);
    const [mail, ...more] = await ada.mailsAt(CHANGE + 400);
    expect(more).toEqual([]);
    expect(mail?.text).toContain("your plan is Atelier × 5 instead of Studio × 1.");
  });

  it("is not sent for what was taken back before it left, nor for a change that a sent one was later than", async () => {
    await ada.tell(UPDATED, CHANGE, atelier, studio);
    await ada.tell(UPDATED, CHANGE + 30, studio, atelier);
    expect(await subjects(CHANGE + 400)).toEqual([]);
    expect(await ada.skipped()).toEqual(["told_with_a_later_one", "taken_back"]);
    const five = on([{ price: "studio", quantity: 5 }]);
    const early = ada.event(UPDATED, CHANGE + DAY, on([{ price: "studio", quantity: 2 }]), studio);
    await ada.tell(UPDATED, CHANGE + DAY + 60, five, on([{ price: "studio", quantity: 2 }]));
    await ada.mailsAt(CHANGE + DAY + 300);
    await ada.receive(early, CHANGE + DAY + 310);
    expect(await subjects(CHANGE + DAY + 700)).toEqual(["Your Studio subscription has changed"]);
    expect((await ada.skipped()).at(-1)).toBe("out_of_date");
  });

  it("is sent each time a plan is changed there and back", async () => {
    await ada.tell(UPDATED, CHANGE, atelier, studio);
    await ada.mailsAt(SENT);
    await ada.tell(UPDATED, CHANGE + DAY, studio, atelier);
    await ada.mailsAt(SENT + DAY);
    await ada.tell(UPDATED, CHANGE + 2 * DAY, atelier, studio);
    expect(await subjects(SENT + 2 * DAY)).toEqual([
      "Your plan is now Atelier",
      "Your plan is now Studio",
      "Your plan is now Atelier",
    ]);
  });

  it("names no charge that was not made: an invoice that is open, or a later one", async () => {
    await ada.tell(UPDATED, CHANGE, atelier, studio);
    await ada.tell(
      "invoice.finalized",
      CHANGE + 3,
      charge(3333, { status: "open", amount_paid: 0, amount_remaining: 3333 }),
    );
    expect((await ada.mailsAt(SENT))[0]?.text).not.toMatch(/charged/);
  });

  it("says that nothing was charged where the invoice came to nothing", async () => {
    await ada.tell(UPDATED, CHANGE, atelier, studio);
    await ada.tell("invoice.paid", CHANGE + 3, charge(0));
    expect((await ada.mailsAt(SENT))[0]?.text).toContain("Nothing was charged for the change.");
  });

  it("is left to the confirmation of a cancellation in the same event, and not sent where the subscription ended", async () => {
    const leaving = on([{ price: "atelier" }], {
      cancel_at_period_end: true,
      cancel_at: NOW + 30 * DAY,
      canceled_at: CHANGE,
    });
    await ada.tell(UPDATED, CHANGE, leaving, studio);
    expect(await subjects(SENT)).toEqual([]);
    await ada.tell(UPDATED, CHANGE + DAY, on([{ price: "studioDearer" }]), atelier);
    await ada.tell("customer.subscription.deleted", CHANGE + DAY + 5, {
      ...on([{ price: "studioDearer" }], {
        status: "canceled",
        ended_at: CHANGE + DAY + 5,
        canceled_at: CHANGE + DAY + 5,
      }),
    });
    expect(await subjects(SENT + DAY)).toEqual([]);
    expect((await ada.skipped()).at(-1)).toBe("out_of_date");
  });
});
