import { afterEach, beforeEach, describe, expect, it } from "vitest";
import type { Subscription } from "../../../scripts/local/stripe/core/wire.ts";
import { at, DAY, type Item, NOW, type Subscriber, startSubscriber, subscribed } from "./subscriber.ts";

/** 2027-09-30T09:00:00Z, twelve months and a day less after the beginning. */
const RENEWAL = NOW + 364 * DAY;
const yearly = (values: Partial<Omit<Subscription, "items">> = {}, items: Item[] = [{ price: "yearly" }]) =>
  subscribed(values, items, { end: RENEWAL });

let ada: Subscriber;
afterEach(() => ada.close());
const look = async (seconds: number) => {
  await ada.database.sql`select billing_private.enqueue_due_renewal_reminders(${at(seconds)})`;
  return ada.mailsAt(seconds + 5);
};

describe.each([
  {
    locale: "en-IE",
    subject: "Your Studio subscription renews on 30 September 2027",
    sentence:
      "renews automatically on 30 September 2027 at €490.00 per year. We’ll charge your Visa ending in 4242 then.",
    cancel: "you can cancel on your billing page any time before 30 September 2027",
    missing: "We don’t have a payment method for it, so please add one before then.",
    invoiced: "We’ll send you an invoice then.",
  },
  {
    locale: "de",
    subject: "Ihr Abonnement „Studio“ verlängert sich am 30. September 2027",
    sentence:
      "verlängert sich am 30. September 2027 automatisch, zum Preis von 490,00 € pro Jahr. Dann buchen wir den Betrag über Visa mit den Endziffern 4242 ab.",
    cancel: "kündigen Sie einfach vor dem 30. September 2027 auf Ihrer Abrechnungsseite",
    missing: "Dafür ist bei uns keine Zahlungsmethode hinterlegt. Bitte hinterlegen Sie vorher eine.",
    invoiced: "Dann schicken wir Ihnen eine Rechnung.",
  },
])("a renewal after a year, in $locale,", ({ locale, subject, sentence, cancel, missing, invoiced }) => {
  beforeEach(async () => {
    ada = await startSubscriber(locale);
  });

  it("is mailed twenty days ahead, once, with amount, date and how to cancel", async () => {
    await ada.switchOn("renewal-ahead");
    await ada.tell("customer.subscription.created", NOW, yearly());
    expect(await look(RENEWAL - 20 * DAY - 60)).toEqual([]);
    expect(await look(RENEWAL - 20 * DAY)).toMatchObject([{ to: ["ada@example.com"], subject }]);
    const [mail, ...more] = await look(RENEWAL - 19 * DAY);
    expect(more).toEqual([]);
    expect(mail?.text).toContain(sentence);
    expect(mail?.text).toContain(cancel);
  });

  it("asks for a payment method where there is none, and speaks of an invoice where one is sent", async () => {
    await ada.switchOn("renewal-ahead");
    await ada.tell("customer.subscription.created", NOW, yearly({ default_payment_method: null }));
    await ada.tell(
      "customer.subscription.created",
      NOW,
      JSON.parse(
        JSON.stringify(yearly({ collection_method: "send_invoice", default_payment_method: null }))
          .replaceAll("sub_Ada", "sub_Other")
          .replaceAll("si_Ada", "si_Other"),
      ),
    );
    const texts = (await look(RENEWAL - 20 * DAY)).map(({ text }) => text);
    expect(texts).toEqual([expect.stringContaining(missing), expect.stringContaining(invoiced)]);
  });

  it("is not sent unless settings say so", async () => {
    await ada.tell("customer.subscription.created", NOW, yearly());
    expect(await look(RENEWAL - 10 * DAY)).toEqual([]);
  });
});

describe("the reminder of a renewal", () => {
  beforeEach(async () => {
    ada = await startSubscriber("en");
    await ada.switchOn("renewal-ahead");
  });

  it.each<[string, number, Subscription]>([
    ["of half a year comes", 1, yearly({}, [{ price: "halfYearly" }])],
    ["of three months does not", 0, yearly({}, [{ price: "quarterly" }])],
    ["that costs nothing does not", 0, yearly({}, [{ price: "free" }])],
    [
      "does not come where it was canceled for its end",
      0,
      yearly({ cancel_at_period_end: true, cancel_at: RENEWAL, canceled_at: NOW + DAY }),
    ],
    [
      "does not come where it was canceled for a day before",
      0,
      yearly({ cancel_at: RENEWAL - DAY, canceled_at: NOW + DAY }),
    ],
    [
      "comes where a fixed term ends a year later",
      1,
      yearly({ cancel_at: RENEWAL + 365 * DAY, canceled_at: NOW }),
    ],
    ["of what is past due does not", 0, yearly({ status: "past_due" })],
    ["of what is paused does not", 0, yearly({ status: "paused" })],
    [
      "of what is not collected does not",
      0,
      yearly({ pause_collection: { behavior: "void", resumes_at: null } }),
    ],
    ["of a trial is left to the trial's own", 0, yearly({ status: "trialing", trial_end: RENEWAL })],
  ])("%s", async (_what, mails, subscription) => {
    await ada.tell("customer.subscription.created", NOW, subscription);
    expect(await look(RENEWAL - 20 * DAY)).toHaveLength(mails);
  });

  it("names no price where a schedule may change it, and none for several intervals", async () => {
    await ada.tell("customer.subscription.created", NOW, yearly({ schedule: "sub_sched_Ada" }));
    const [mail] = await look(RENEWAL - 20 * DAY);
    expect(mail?.text).toContain("renews automatically on September 30, 2027. We’ll charge");
    expect(mail?.text).not.toContain("€");
  });

  it("comes as many days ahead as settings say", async () => {
    await ada.database.sql`update billing.settings set renewal_reminder_days = 45`;
    await ada.tell("customer.subscription.created", NOW, yearly());
    expect(await look(RENEWAL - 46 * DAY)).toHaveLength(0);
    expect(await look(RENEWAL - 45 * DAY)).toHaveLength(1);
  });

  it("is not sent where the subscription is canceled before it leaves", async () => {
    await ada.tell("customer.subscription.created", NOW, yearly());
    await ada.database.sql`select billing_private.enqueue_due_renewal_reminders(${at(RENEWAL - 20 * DAY)})`;
    const leaving = yearly({
      cancel_at_period_end: true,
      cancel_at: RENEWAL,
      canceled_at: RENEWAL - 20 * DAY,
    });
    await ada.tell("customer.subscription.updated", RENEWAL - 20 * DAY, leaving, yearly());
    const subjects = (await ada.mailsAt(RENEWAL - 20 * DAY + 5)).map(({ subject }) => subject);
    expect(subjects).toEqual(["Your Studio subscription is canceled and ends on September 30, 2027"]);
    expect(await ada.skipped()).toEqual(["out_of_date"]);
  });

  it("is sent again before the next renewal", async () => {
    await ada.tell("customer.subscription.created", NOW, yearly());
    await look(RENEWAL - 20 * DAY);
    const renewed = subscribed({}, [{ price: "yearly" }], { start: RENEWAL, end: RENEWAL + 365 * DAY });
    await ada.tell("customer.subscription.updated", RENEWAL, renewed, yearly());
    expect(await look(RENEWAL + 345 * DAY)).toHaveLength(2);
  });
});
