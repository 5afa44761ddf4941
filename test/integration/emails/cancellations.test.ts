import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { DAY, NOW, type Subscriber, startSubscriber, subscribed } from "./subscriber.ts";

// How a subscription ends, as whoever has it reads it.

const END = NOW + 30 * DAY;
const going = subscribed();
const ended = (values: object) =>
  subscribed({ status: "canceled", canceled_at: END, ended_at: END, ...values } as never);

let ada: Subscriber;
afterEach(() => ada.close());

describe.each([
  {
    locale: "en-IE",
    announced: "It stays active until 31 October 2026",
    reminded: /we reminded you|reminders/i,
    said: {
      cancellation_requested:
        "This confirms that your Studio subscription has been canceled. It ended on 31 October 2026",
      payment_failed:
        "The payment for your Studio subscription could not be collected. It ended on 31 October 2026 and won’t be renewed.",
      payment_disputed:
        "A payment for your Studio subscription was disputed at your bank. The subscription ended on 31 October 2026 and won’t be renewed.",
    },
    term: "Your Studio subscription was for a fixed term. It ended on 31 October 2026, as agreed, and won’t be renewed.",
  },
  {
    locale: "de",
    announced: "Es bleibt bis zum 31. Oktober 2026 aktiv",
    reminded: /erinnert/i,
    said: {
      cancellation_requested:
        "Wir bestätigen die Kündigung Ihres Abonnements „Studio“. Es endete am 31. Oktober 2026 und wird nicht verlängert.",
      payment_failed:
        "Die Zahlung für Ihr Abonnement „Studio“ konnte nicht eingezogen werden. Es endete am 31. Oktober 2026 und wird nicht verlängert.",
      payment_disputed:
        "Eine Zahlung für Ihr Abonnement „Studio“ wurde bei Ihrer Bank angefochten. Das Abonnement endete am 31. Oktober 2026 und wird nicht verlängert.",
    },
    term: "Ihr Abonnement „Studio“ war für eine feste Zeit abgeschlossen. Es endete wie vereinbart am 31. Oktober 2026 und wird nicht verlängert.",
  },
])("in the inbox, in $locale,", ({ locale, announced, reminded, said, term }) => {
  beforeEach(async () => {
    ada = await startSubscriber(locale);
  });

  it.each([
    ["a flag", { cancel_at_period_end: true, cancel_at: END }],
    ["a date alone, as min_period_end and flexible billing's portal set it", { cancel_at: END }],
  ])(
    "a cancellation by %s is confirmed when it is announced, and not again when it comes",
    async (_how, values) => {
      const leaving = subscribed({ ...values, canceled_at: NOW + DAY } as never);
      await ada.tell("customer.subscription.created", NOW, going);
      await ada.tell("customer.subscription.updated", NOW + DAY, leaving, going);
      await ada.mailsAt(NOW + DAY + 5);
      const gone = { ...leaving, status: "canceled", ended_at: END };
      await ada.tell("customer.subscription.deleted", END, gone);
      const [mail, ...others] = await ada.mailsAt(END + 5);
      expect(others).toEqual([]);
      expect(mail?.text).toContain(announced);
    },
  );

  it.each(["cancellation_requested", "payment_failed", "payment_disputed"] as const)(
    "what ended by %s says so, and of no reminders",
    async (reason) => {
      await ada.tell("customer.subscription.created", NOW, going);
      await ada.tell("customer.subscription.deleted", END, ended({ cancellation_details: { reason } }));
      const [mail, ...others] = await ada.mailsAt(END + 5);
      expect(others).toEqual([]);
      expect(mail?.text).toContain(said[reason]);
      expect(mail?.text).not.toMatch(reminded);
    },
  );

  it("a term that was fixed when it was made gets its email when it ends, as a term", async () => {
    const fixed = subscribed({ cancel_at: END, canceled_at: NOW } as never);
    await ada.tell("customer.subscription.created", NOW, fixed);
    expect(await ada.mailsAt(NOW + DAY)).toEqual([]);
    await ada.tell("customer.subscription.deleted", END, {
      ...fixed,
      status: "canceled",
      ended_at: END,
      cancellation_details: null,
    });
    const [mail, ...others] = await ada.mailsAt(END + 5);
    expect(others).toEqual([]);
    expect(mail?.text).toContain(term);
  });
});
