import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { DAY, NOW, type Subscriber, startSubscriber, subscribed } from "./subscriber.ts";

const END = NOW + 30 * DAY;
const going = subscribed();
const canceled = (asked: number, values: object = {}) =>
  subscribed({ cancel_at_period_end: true, cancel_at: END, canceled_at: asked, ...values });

let ada: Subscriber;
afterEach(() => ada.close());

async function cancelAndUndo(undoneAt = NOW + 2 * DAY) {
  await ada.tell("customer.subscription.created", NOW, going);
  await ada.tell("customer.subscription.updated", NOW + DAY, canceled(NOW + DAY), going);
  await ada.mailsAt(NOW + DAY + 5);
  await ada.tell("customer.subscription.updated", undoneAt, going, canceled(NOW + DAY));
}

describe.each([
  {
    locale: "en-IE",
    subject: "Your Studio subscription continues",
    sentence: "It no longer ends on 31 October 2026 and will be renewed as before.",
    facts: [
      "Plan: Studio",
      "Price: €49.00 per month",
      "Next payment: 31 October 2026",
      "Payment method: Visa •••• 4242",
    ],
  },
  {
    locale: "de",
    subject: "Ihr Abonnement „Studio“ läuft weiter",
    sentence: "Es endet nicht mehr am 31. Oktober 2026 und verlängert sich wie bisher.",
    facts: [
      "Tarif: Studio",
      "Preis: 49,00 € pro Monat",
      "Nächste Zahlung: 31. Oktober 2026",
      "Zahlungsmethode: Visa •••• 4242",
    ],
  },
])("a cancellation that is undone, in $locale,", ({ locale, subject, sentence, facts }) => {
  beforeEach(async () => {
    ada = await startSubscriber(locale);
  });

  it("is said, with when and what is charged next", async () => {
    await ada.switchOn("cancellation-undone");
    await cancelAndUndo();
    const [, mail, ...more] = await ada.mailsAt(NOW + 2 * DAY + 90);
    expect(more).toEqual([]);
    expect(mail).toMatchObject({ to: ["ada@example.com"], subject });
    expect(mail?.text).toContain(sentence);
    for (const fact of facts) expect(mail?.text).toContain(fact);
  });

  it("is not, unless settings say so", async () => {
    await cancelAndUndo();
    expect(await ada.mailsAt(NOW + 2 * DAY + 90)).toHaveLength(1);
  });
});

describe("the mail that a cancellation is undone", () => {
  beforeEach(async () => {
    ada = await startSubscriber("en");
    await ada.switchOn("cancellation-undone");
  });
  const subjects = async (seconds: number) =>
    (await ada.mailsAt(seconds)).map(({ subject }) => subject.replace(/ on .*/, ""));

  it("is one for each cancellation, however many events report it", async () => {
    await cancelAndUndo();
    await ada.tell("customer.subscription.updated", NOW + 2 * DAY + 1, going, canceled(NOW + DAY));
    await ada.mailsAt(NOW + 2 * DAY + 90);
    await ada.tell("customer.subscription.updated", NOW + 3 * DAY, canceled(NOW + 3 * DAY), going);
    await ada.mailsAt(NOW + 3 * DAY + 90);
    await ada.tell("customer.subscription.updated", NOW + 4 * DAY, going, canceled(NOW + 3 * DAY));
    expect(await subjects(NOW + 4 * DAY + 90)).toEqual([
      "Your Studio subscription is canceled and ends",
      "Your Studio subscription continues",
      "Your Studio subscription is canceled and ends",
      "Your Studio subscription continues",
    ]);
  });

  it("is not sent where the subscription was canceled again before it left", async () => {
    await cancelAndUndo();
    await ada.tell("customer.subscription.updated", NOW + 2 * DAY + 3, canceled(NOW + 2 * DAY + 3), going);
    expect(await subjects(NOW + 2 * DAY + 90)).toEqual([
      "Your Studio subscription is canceled and ends",
      "Your Studio subscription is canceled and ends",
    ]);
    expect(await ada.skipped()).toEqual(["out_of_date"]);
  });

  it("is sent where the cancellation itself becomes known later; then the mail about the cancellation is not sent", async () => {
    await ada.tell("customer.subscription.created", NOW, going);
    await ada.tell("customer.subscription.updated", NOW + 2 * DAY, going, canceled(NOW + DAY));
    await ada.receive(
      ada.event("customer.subscription.updated", NOW + DAY, canceled(NOW + DAY), going),
      NOW + 2 * DAY + 3,
    );
    expect(await subjects(NOW + 2 * DAY + 90)).toEqual(["Your Studio subscription continues"]);
  });

  it("is said of a cancellation whose day was moved before, and made and undone in one second", async () => {
    await ada.tell("customer.subscription.created", NOW, going);
    const moved = canceled(NOW + DAY, { cancel_at: END + DAY });
    await ada.tell("customer.subscription.updated", NOW + DAY, canceled(NOW + DAY), going);
    await ada.tell("customer.subscription.updated", NOW + DAY + 60, moved, canceled(NOW + DAY));
    await ada.mailsAt(NOW + DAY + 180);
    const second = [
      ada.event("customer.subscription.updated", NOW + 2 * DAY, going, moved),
      ada.event("customer.subscription.updated", NOW + 2 * DAY, canceled(NOW + 2 * DAY), going),
      ada.event("customer.subscription.updated", NOW + 2 * DAY, going, canceled(NOW + 2 * DAY)),
    ];
    for (const event of second) await ada.receive(event);
    await ada.tell("customer.subscription.updated", NOW + 2 * DAY + 5, going);
    expect((await subjects(NOW + 2 * DAY + 90)).slice(1)).toContain("Your Studio subscription continues");
  });

  it("is not sent where a fixed term is lifted, nor where the end is only moved", async () => {
    const term = subscribed({ cancel_at: END, canceled_at: NOW });
    await ada.tell("customer.subscription.created", NOW, term);
    await ada.tell("customer.subscription.updated", NOW + DAY, going, term);
    const later = canceled(NOW + 2 * DAY, { cancel_at: END + DAY });
    await ada.tell("customer.subscription.updated", NOW + 2 * DAY, canceled(NOW + 2 * DAY), going);
    await ada.tell("customer.subscription.updated", NOW + 3 * DAY, later, canceled(NOW + 2 * DAY));
    expect(await subjects(NOW + 3 * DAY + 90)).toEqual(["Your Studio subscription is canceled and ends"]);
  });
});
