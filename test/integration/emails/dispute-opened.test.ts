import { afterEach, beforeEach, describe, expect, it } from "vitest";
import type { Dispute } from "../../../scripts/local/stripe/core/wire.ts";
import { dispute } from "../../support/stripe/payments.ts";
import { DAY, NOW, type Subscriber, startSubscriber } from "./subscriber.ts";

const OPENED = NOW + DAY;
const disputed = (values: Partial<Dispute> = {}) =>
  dispute({
    id: "du_Ada",
    created: OPENED,
    amount: 4900,
    charge: "ch_Ada",
    payment_intent: "pi_Ada",
    reason: "product_not_received",
    ...values,
  });
const asked = () => disputed({ status: "warning_needs_response" });

let ada: Subscriber;
let posted: string[];
afterEach(() => ada.close());
async function begin(defaultLocale: string) {
  // The operator reads the project's language, whatever the customer reads.
  ada = await startSubscriber("fr");
  posted = [];
  await ada.database.sql`
    update billing.settings set default_locale = ${defaultLocale}, support_email = 'help@example.com' where id
  `;
}
/** What the operator got by then. */
const mailsAt = (seconds: number) =>
  ada.mailsAt(seconds, {
    alertMail: { from: "Billing <billing@example.com>", to: "ops@example.com" },
    postAlert: async (text) => {
      posted.push(text);
    },
  });

describe.each([
  {
    locale: "en-IE",
    subject: "A payment of €49.00 is disputed",
    sentences: [
      "A customer has disputed a payment of €49.00 at their bank. Reason: the customer says that nothing was delivered.",
      "Stripe takes evidence until 9 October 2026. Without an answer, the money is lost.",
      "because you look after the billing of Northlight",
    ],
    inquiry: ["A bank asks about a payment of €49.00", "No money has been taken back so far."],
  },
  {
    locale: "de",
    subject: "Eine Zahlung von 49,00 € wird angefochten",
    sentences: [
      "Ein Kunde hat bei seiner Bank eine Zahlung von 49,00 € angefochten. Grund: Der Kunde sagt, dass nichts geliefert wurde.",
      "Bis zum 9. Oktober 2026 nimmt Stripe Belege an. Ohne Antwort ist das Geld verloren.",
      "weil Sie sich um die Abrechnung von Northlight kümmern",
    ],
    inquiry: ["Eine Bank fragt nach einer Zahlung von 49,00 €", "Bisher wurde kein Geld zurückgebucht."],
  },
])("a dispute that is opened, in $locale,", ({ locale, subject, sentences, inquiry }) => {
  beforeEach(() => begin(locale));

  it("is sent to the operator, by mail and on the webhook, once", async () => {
    await ada.switchOn("dispute-opened");
    await ada.tell("charge.dispute.created", OPENED, disputed());
    await ada.tell("charge.dispute.updated", OPENED + 2, disputed({ metadata: { seen: "yes" } }), disputed());
    await mailsAt(OPENED + 5);
    const [mail, ...more] = await mailsAt(OPENED + DAY);
    expect(more).toEqual([]);
    expect(mail).toMatchObject({ to: ["ops@example.com"], subject });
    for (const sentence of sentences) expect(mail?.text).toContain(sentence);
    expect(mail?.text).toContain("https://dashboard.stripe.com/test/payments/pi_Ada");
    expect(mail?.text).not.toContain("help@example.com");
    expect(posted).toHaveLength(1);
    expect(posted[0]?.replaceAll("\u00a0", " ")).toContain(`${subject}\n`);
    expect(posted[0]).toContain("dispute: du_Ada");
    expect(posted[0]).not.toContain("props");
  });

  it("says so where the bank only asks, and is sent again where that becomes a dispute", async () => {
    await ada.switchOn("dispute-opened");
    await ada.tell("charge.dispute.created", OPENED, asked());
    await mailsAt(OPENED + 5);
    await ada.tell("charge.dispute.updated", OPENED + DAY, disputed(), asked());
    const mails = await mailsAt(OPENED + DAY + 5);
    expect(mails.map((mail) => mail.subject)).toEqual([inquiry[0], subject]);
    expect(mails[0]?.text).toContain(inquiry[1]);
  });

  it("is not sent unless settings say so", async () => {
    await ada.tell("charge.dispute.created", OPENED, disputed());
    expect(await mailsAt(OPENED + 5)).toEqual([]);
    expect(posted).toEqual([]);
  });
});

describe("the mail that a dispute was opened", () => {
  beforeEach(async () => {
    await begin("en");
    await ada.switchOn("dispute-opened");
  });

  it("is not sent where the dispute was decided before it was sent, or before the dispute became known", async () => {
    await ada.tell("charge.dispute.created", OPENED, disputed());
    await ada.tell("charge.dispute.closed", OPENED + 2, disputed({ status: "won" }));
    const other = (status: string) => disputed({ id: "du_Other", status } as Partial<Dispute>);
    await ada.tell("charge.dispute.closed", OPENED + 2, other("lost"));
    await ada.receive(ada.event("charge.dispute.created", OPENED, other("needs_response")), OPENED + 3);
    expect(await mailsAt(OPENED + 5)).toEqual([]);
    expect(posted).toEqual([]);
  });

  it("holds nothing that anybody wrote, and links to nowhere but Stripe and the project", async () => {
    const evidence = { ...disputed().evidence, customer_name: "<b>Eve</b> https://evil.example" };
    await ada.tell(
      "charge.dispute.created",
      OPENED,
      disputed({ evidence, reason: "<i>new</i>" } as Partial<Dispute>),
    );
    const [mail] = await mailsAt(OPENED + 5);
    expect(mail?.html).not.toMatch(/Eve|evil|<i>/);
    const links = [...(mail?.html ?? "").matchAll(/href="([^"]+)"/g)].map(
      ([, href]) => new URL(String(href)).host,
    );
    expect(new Set(links)).toEqual(new Set(["dashboard.stripe.com", "localhost:3000"]));
  });

  it("is not sent for events of last week in live mode", async () => {
    await ada.database.sql`update billing.settings set livemode = true where id`;
    const event = ada.event("charge.dispute.created", OPENED, { ...disputed(), livemode: true });
    await ada.receive({ ...event, livemode: true }, OPENED + 8 * DAY);
    expect(await mailsAt(OPENED + 8 * DAY + 5)).toEqual([]);
  });

  it("goes out as a plain alert where it cannot be written", async () => {
    await ada.tell("charge.dispute.created", OPENED, disputed());
    await ada.database.sql`
      update billing.outbox set payload = jsonb_set(payload, '{mail,props,kind}', '"row"') where kind = 'alert'
    `;
    const [mail] = await mailsAt(OPENED + 5);
    expect(mail?.subject).toBe("Duebase alert: dispute opened");
    expect(mail?.text).toContain("dispute: du_Ada");
  });
});
