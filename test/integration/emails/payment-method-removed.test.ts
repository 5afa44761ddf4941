import { afterEach, beforeEach, describe, expect, it } from "vitest";
import type { Subscription } from "../../../scripts/local/stripe/core/wire.ts";
import { customer } from "../../support/stripe/customers.ts";
import { card, DAY, NOW, type Subscriber, startSubscriber, subscribed } from "./subscriber.ts";

const REMOVED = NOW + 10 * DAY;
/** When its mail leaves. */
const SENT = REMOVED + 700;
const going = subscribed();
const without = subscribed({ default_payment_method: null });
const detached = card({ customer: null });
const person = (method: string | null, locale = "en") =>
  customer({
    id: "cus_Ada",
    created: NOW,
    email: "ada@example.com",
    name: "Ada",
    preferred_locales: [locale],
    invoice_settings: {
      custom_fields: null,
      default_payment_method: method,
      footer: null,
      rendering_options: null,
    },
  });

let ada: Subscriber;
afterEach(() => ada.close());
const detach = (seconds = REMOVED) => ada.tell("payment_method.detached", seconds, detached, card());
const subjects = async (seconds = SENT) => (await ada.mailsAt(seconds)).map(({ subject }) => subject);

describe.each([
  {
    locale: "en-IE",
    subject: "Please add a payment method for Studio",
    sentence:
      "Your Visa ending in 4242 has been removed, and there is no other way to pay for your Studio subscription. The next payment is due on 31 October 2026.",
    facts: ["Price: €49.00 per month", "Next payment: 31 October 2026"],
  },
  {
    locale: "de",
    subject: "Bitte hinterlegen Sie eine Zahlungsmethode für Studio",
    sentence:
      "Visa mit den Endziffern 4242 wurde entfernt, und eine andere Zahlungsmethode ist für Ihr Abonnement „Studio“ nicht hinterlegt. Die nächste Zahlung steht am 31. Oktober 2026 an.",
    facts: ["Preis: 49,00 € pro Monat", "Nächste Zahlung: 31. Oktober 2026"],
  },
])("a payment method that is removed, in $locale,", ({ locale, subject, sentence, facts }) => {
  beforeEach(async () => {
    ada = await startSubscriber(locale);
    await ada.tell("customer.subscription.created", NOW, going);
  });

  it("is sent where the next payment needs the method, minutes later, and once", async () => {
    await ada.switchOn("payment-method-removed");
    await detach();
    await ada.tell("customer.subscription.updated", REMOVED, without, going);
    expect(await ada.mailsAt(REMOVED + 300)).toEqual([]);
    await ada.mailsAt(SENT);
    await ada.tell("customer.subscription.updated", REMOVED + 1, without, going);
    const [mail, ...more] = await ada.mailsAt(SENT + 900);
    expect(more).toEqual([]);
    expect(mail).toMatchObject({ to: ["ada@example.com"], subject });
    expect(mail?.text).toContain(sentence);
    for (const fact of facts) expect(mail?.text).toContain(fact);
  });

  it("is not sent unless settings say so", async () => {
    await detach();
    expect(await ada.mailsAt(SENT)).toEqual([]);
  });
});

describe("the mail that a payment method was removed", () => {
  beforeEach(async () => {
    ada = await startSubscriber("en");
    await ada.switchOn("payment-method-removed");
  });

  it("comes where the customer's default is cleared, the card stays, and no subscription has its own", async () => {
    await ada.tell("customer.updated", NOW + 1, person("pm_Visa"), person(null));
    await ada.tell("customer.subscription.created", NOW, without);
    await ada.tell("customer.updated", REMOVED, person(null), person("pm_Visa"));
    expect(await subjects()).toEqual(["Please add a payment method for Studio"]);
  });

  it("is one whichever of the three events comes first", async () => {
    const events = () => [
      ada.event("payment_method.detached", REMOVED, detached, card()),
      ada.event("customer.updated", REMOVED, person(null), person("pm_Visa")),
      ada.event("customer.subscription.updated", REMOVED, without, going),
    ];
    await ada.tell("customer.updated", NOW + 1, person("pm_Visa"), person(null));
    await ada.tell("customer.subscription.created", NOW, going);
    for (const event of events().reverse()) await ada.receive(event);
    expect(await subjects()).toEqual(["Please add a payment method for Studio"]);
  });

  it("is sent where the subscription becomes known only after its card was removed", async () => {
    await detach();
    await ada.receive(ada.event("customer.subscription.created", NOW, going), REMOVED + 60);
    expect(await subjects()).toHaveLength(1);
  });

  it.each<[string, Subscription]>([
    ["a subscription that is sent invoices", subscribed({ collection_method: "send_invoice" })],
    [
      "one that is canceled for the end of its period",
      subscribed({ cancel_at_period_end: true, cancel_at: NOW + 30 * DAY, canceled_at: NOW + DAY }),
    ],
    ["one that is past due, which dunning speaks of", subscribed({ status: "past_due" })],
    ["a trial, whose reminder asks for one", subscribed({ status: "trialing", trial_end: NOW + 30 * DAY })],
    ["one that costs nothing", subscribed({}, [{ price: "free" }])],
    ["one that is not collected", subscribed({ pause_collection: { behavior: "void", resumes_at: null } })],
    ["one that is charged to another card", subscribed({ default_payment_method: "pm_Other" })],
    ["one that never had a default", without],
  ])("is not sent for %s", async (_what, subscription) => {
    await ada.tell("customer.subscription.created", NOW, subscription);
    await detach();
    expect(await subjects()).toEqual([]);
    expect(await ada.skipped()).toEqual(["out_of_date"]);
  });

  it("is not sent where the customer has a default that is still there", async () => {
    await ada.tell("payment_method.attached", NOW, card({ id: "pm_Spare" }));
    await ada.tell("customer.updated", NOW + 1, person("pm_Spare"), person(null));
    await ada.tell("customer.subscription.created", NOW, going);
    await detach();
    expect(await subjects()).toEqual([]);
  });

  it.each([
    ["before it leaves", 300],
    ["in the same moment", -2],
  ])("is not sent where a new one is given %s", async (_when, seconds) => {
    await ada.tell("customer.subscription.created", NOW, going);
    const fresh = card({ id: "pm_New", created: REMOVED + seconds });
    if (seconds < 0) await ada.tell("payment_method.attached", REMOVED + seconds, fresh);
    await detach();
    if (seconds > 0) await ada.tell("payment_method.attached", REMOVED + seconds, fresh);
    expect(await subjects()).toEqual([]);
  });

  it("is not sent where the default is exchanged for another", async () => {
    await ada.tell("customer.subscription.created", NOW, going);
    const other = subscribed({ default_payment_method: "pm_Spare" });
    await ada.tell("customer.subscription.updated", REMOVED, other, going);
    await detach(REMOVED + 1);
    expect(await subjects()).toEqual([]);
  });
});
