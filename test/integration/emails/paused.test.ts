import { afterEach, describe, expect, it } from "vitest";
import { DunningWorld } from "../../support/dunning-world.ts";
import { asService, days, openInvoice } from "../dunning/overdue.ts";
import { CUSTOMER, DAY, HOUR, paused, START, ToldDatabase, told, unpaid } from "../dunning/told.ts";

const FAILED = START + HOUR;
const LADDER = `[{"day": 0, "kind": "notice"}, {"day": 3, "kind": "final_warning"}, {"day": 6, "kind": "end"}]`;

let close = async () => {};
afterEach(() => close());

describe.each([
  {
    language: "en",
    goesOn: /Once the open invoice of \S+ is paid, it continues by itself/,
    both: /Once the 2 open invoices, €50\.00 in all, are paid, it continues by itself/,
    pay: (url: string) => `Pay €20.00: ${url}`,
    payDollars: (url: string) => `Pay $20.00: ${url}`,
    review: "Review and pay: http://localhost:3000/",
  },
  {
    language: "de",
    goesOn: /Sobald die offene Rechnung über \S+\s\S bezahlt ist, läuft es von selbst weiter/,
    both: /Sobald die 2 offenen Rechnungen über zusammen 50,00\s€ bezahlt sind, läuft es von selbst weiter/,
    pay: (url: string) => `20,00 € bezahlen: ${url}`,
    payDollars: (url: string) => `20,00 $ bezahlen: ${url}`,
    review: "Ansehen und bezahlen: http://localhost:3000/",
  },
])(
  "paused for non-payment, in the inbox in $language",
  ({ language, goesOn, both, pay, payDollars, review }) => {
    async function toldWorld(): Promise<ToldDatabase> {
      const world = await ToldDatabase.open();
      close = () => world.close();
      await world.database
        .sql`update billing.customers set preferred_locales = ${[language]} where id = ${CUSTOMER}`;
      return world;
    }
    const pausedMails = (world: ToldDatabase) =>
      world.received().flatMap(({ template, text }) => (template === "subscription-paused" ? [text] : []));

    it.each(["the pause", "the failure"])(
      "by Stripe: what resumes it, and the invoice behind the button, where %s is heard of first",
      async (first) => {
        const world = await toldWorld();
        const pause = async () => {
          const after = paused("final_payment_failure", FAILED + 2);
          await world.tell("customer.subscription.updated", FAILED + 2, after, told({ status: "past_due" }));
          await world.tell("customer.subscription.paused", FAILED + 2, after);
        };
        if (first === "the pause") await pause();
        await world.tell("invoice.payment_failed", FAILED, unpaid());
        if (first === "the failure") await pause();
        await world.sendMails(FAILED + 60);
        const [text, ...none] = pausedMails(world);
        expect(none).toEqual([]);
        expect(text).toMatch(goesOn);
        expect(text).toContain(pay("https://invoice.example.com/told"));
      },
    );

    it("by Stripe, with two invoices open: both, and the page where both are paid", async () => {
      const world = await toldWorld();
      await world.fail();
      await world.fail(
        unpaid({
          id: "in_Other",
          lines: undefined,
          total: 3000,
          amount_due: 3000,
          amount_remaining: 3000,
        } as never),
        FAILED + 1,
      );
      const after = paused("final_payment_failure", FAILED + DAY);
      await world.tell("customer.subscription.paused", FAILED + DAY, after);
      await world.sendMails(FAILED + DAY + 60);
      const [text] = pausedMails(world);
      expect(text).toMatch(both);
      expect(text).toContain(review);
    });

    it("by the policy's end", async () => {
      const world = await DunningWorld.open();
      close = () => world.close();
      await asService(world, `billing.define_dunning_policy('default', '${LADDER}', 'pause')`);
      const somebody = await world.subscribe({ params: { billing_mode: { type: "flexible" } } });
      await world.stripe.customers.update(somebody.customer, { preferred_locales: [language] });
      await world.arrive();
      await world.breakCard(somebody);
      await world.renew(somebody);
      const { hosted_invoice_url } = await openInvoice(world, somebody);
      await days(world, 7);
      const text = world.inbox
        .emails()
        .flatMap(({ tags, text }) =>
          tags?.some(({ value }) => value === "subscription-paused") ? [text ?? ""] : [],
        );
      expect(text).toHaveLength(1);
      expect(text[0]).toMatch(goesOn);
      expect(text[0]).toContain(payDollars(String(hosted_invoice_url)));
    });
  },
);
