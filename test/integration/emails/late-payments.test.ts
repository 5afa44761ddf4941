import { afterEach, describe, expect, it } from "vitest";
import { DunningWorld, HOUR as HOUR_MS, type Subscriber } from "../../support/dunning-world.ts";
import {
  days,
  mails,
  NOTICE,
  newSubscriber,
  openInvoice,
  overdueSubscriber,
  payAtStripe,
} from "../dunning/overdue.ts";
import { CUSTOMER, DAY, HOUR, paidInvoice, START, ToldDatabase, told, unpaid } from "../dunning/told.ts";

let close = async () => {};
afterEach(() => close());

const RECEIPT = "payment-receipt";
const RECOVERED = "payment-recovered";

describe.each([
  {
    language: "en",
    dollars: "$20.00",
    euros: "€9.00",
    total: (amount: string) => `Amount paid: ${amount}`,
    nothing: "Nothing is overdue any more.",
    nothingLeft: "Everything is settled.",
    something: "Something else is still unpaid:",
  },
  {
    language: "de",
    dollars: "20,00 $",
    euros: "9,00 €",
    total: (amount: string) => `Bezahlter Betrag: ${amount}`,
    nothing: "Es ist nichts mehr überfällig.",
    nothingLeft: "Damit ist alles erledigt.",
    something: "Etwas anderes ist noch offen:",
  },
])("in the inbox, in $language", ({ language, dollars, euros, total, nothing, nothingLeft, something }) => {
  let world: DunningWorld;
  async function open(): Promise<void> {
    world = await DunningWorld.open();
    close = () => world.close();
  }
  async function speaks(somebody: Subscriber): Promise<void> {
    await world.stripe.customers.update(somebody.customer, { preferred_locales: [language] });
    await world.arrive();
  }
  const received = () =>
    world.inbox.emails().map(({ tags, subject, text, html }) => ({
      template: tags?.find(({ name }) => name === "template")?.value ?? "",
      text: `${subject}\n${text}`.replaceAll(/[\u00a0\u202f]/g, " "),
      html: (html ?? "").replaceAll(/&nbsp;|[\u00a0\u202f]/g, " "),
    }));

  it("one late payment is one mail, with the lines, the sums and the number of its invoice", async () => {
    await open();
    const somebody = await overdueSubscriber(world);
    await speaks(somebody);
    const before = received().length;
    const { number } = await openInvoice(world, somebody);
    await payAtStripe(world, somebody);
    await world.arrive();
    await days(world, 1);
    const [mail, ...none] = received().slice(before);
    expect(none).toEqual([]);
    expect(mail?.template).toBe(RECOVERED);
    expect(mail?.text).toContain("1 × Plan of 2000 usd a month");
    expect(mail?.text).toContain(total(dollars));
    expect(mail?.text).toContain(String(number));
    expect(mail?.text).toContain(nothing);
    expect(mail?.html).toContain(nothingLeft);
  });

  it("also where the invoice was read before its own event came", async () => {
    await open();
    const somebody = await overdueSubscriber(world);
    await speaks(somebody);
    const before = received().length;
    await payAtStripe(world, somebody);
    world.arrives = ({ type }) => !/^invoice\./.test(type);
    await world.passTime(new Date(world.now.getTime() + 72 * HOUR_MS));
    await world.run();
    expect(received().slice(before)).toHaveLength(1);
    world.arrives = () => true;
    await world.passTime(new Date(world.now.getTime() + 120_000));
    await world.arriveLate();
    await world.deliver();
    const [mail, ...none] = received().slice(before);
    expect(none).toEqual([]);
    expect(mail?.template).toBe(RECOVERED);
    expect(mail?.text).toContain(total(dollars));
  });

  it("what is still unpaid, in another currency, is said, and that nothing is only once nothing is", async () => {
    await open();
    const somebody = await newSubscriber(world);
    const other = await world.addSubscription(somebody.customer, 900, "eur");
    await world.arrive();
    await world.deliver();
    await speaks(somebody);
    await world.breakCard(somebody);
    await world.renew(somebody);
    expect(mails(world, somebody)).toEqual([NOTICE, NOTICE]);
    const before = received().length;
    await payAtStripe(world, somebody);
    await world.breakCard(somebody);
    await world.arrive();
    await world.deliver();
    const { data } = await world.stripe.invoices.list({ subscription: other.id, status: "open" });
    const [first] = received().slice(before);
    expect(first?.template).toBe(RECOVERED);
    expect(first?.text).not.toContain(nothing);
    expect(first?.html).not.toContain(nothingLeft);
    expect(first?.text.slice(first.text.indexOf(something))).toMatch(
      new RegExp(`Plan of 900 eur a month, .*${data[0]?.number} .*${euros}`),
    );
    await payAtStripe(world, { ...somebody, subscription: other.id });
    await world.arrive();
    await world.deliver();
    const all = received().slice(before);
    expect(all.map(({ template }) => template)).toEqual([RECOVERED, RECOVERED]);
    expect(all[1]?.text).toContain(nothing);
    expect(all[1]?.text).not.toContain(something);
    expect(all[1]?.text).toContain(total(euros));
  });

  it("what a subscription left open when it ended is said", async () => {
    const database = await ToldDatabase.open();
    close = () => database.close();
    await database.database
      .sql`update billing.customers set preferred_locales = ${[language]} where id = ${CUSTOMER}`;
    const at = START + HOUR;
    await database.fail();
    const gone = { id: "sub_Gone", created: START - 60 * DAY };
    await database.tell(
      "customer.subscription.deleted",
      at,
      told({ ...gone, status: "canceled", canceled_at: at, ended_at: at }),
    );
    const last = unpaid({ id: "in_Last", subscription: "sub_Gone", number: "EX-0009", created: at + 1 });
    await database.tell("invoice.payment_failed", at + 2, last);
    await database.evaluate(at + HOUR);
    await database.sendMails(at + HOUR);
    await database.tell("invoice.paid", at + DAY, paidInvoice(unpaid(), at + DAY));
    await database.sendMails(at + DAY + 60);
    const text = (await database.text(RECOVERED)).replaceAll(/[\u00a0\u202f]/g, " ");
    expect(text).toContain("EX-0007");
    expect(text).not.toContain(nothing);
    expect(text.slice(text.indexOf(something))).toContain("EX-0009");
  });
});

describe("a payment whose failure got no mail", () => {
  it.each([
    ["before a mail was planned", false, []],
    ["before it left", true, []],
    ["while receipts are switched off", true, [RECEIPT]],
    ["while mails about recoveries are switched off", true, [RECOVERED]],
  ])("%s: a receipt as any other", async (_, planned, off) => {
    const world = await ToldDatabase.open();
    close = () => world.close();
    await world.database.sql`update billing.settings set emails_off = ${off} where true`;
    await world.fail();
    if (planned) await world.evaluate(START + 2 * HOUR);
    await world.tell("invoice.paid", START + 3 * HOUR, paidInvoice(unpaid(), START + 3 * HOUR));
    await world.tell("invoice.payment_succeeded", START + 3 * HOUR, paidInvoice(unpaid(), START + 3 * HOUR));
    await world.sendMails(START + 3 * HOUR + 60);
    await world.tell("invoice.updated", START + 4 * HOUR, paidInvoice(unpaid(), START + 3 * HOUR), unpaid());
    await world.sendMails(START + 4 * HOUR);
    expect(world.received().map(({ template }) => template)).toEqual(off[0] === RECEIPT ? [] : [RECEIPT]);
    if (off[0] !== RECEIPT) expect(await world.text(RECEIPT)).toMatch(/EX-0007[\s\S]*Amount paid: €20.00/);
  });
});

describe("of two invoices of one subscription", () => {
  it("each payment is one mail: a receipt while something is overdue, then the recovery", async () => {
    const world = await ToldDatabase.open();
    close = () => world.close();
    const other = unpaid({ id: "in_Other", number: "EX-0008" });
    await world.fail();
    await world.fail(other, START + HOUR + 1);
    await world.evaluate(START + 2 * HOUR);
    await world.sendMails(START + 2 * HOUR);
    const heard = () =>
      world
        .received()
        .flatMap(({ template, text }) =>
          template === NOTICE ? [] : [`${template} ${text.match(/EX-\d+/)?.[0]}`],
        );
    await world.tell("invoice.paid", START + DAY, paidInvoice(unpaid(), START + DAY));
    await world.sendMails(START + DAY + 60);
    expect(heard()).toEqual([`${RECEIPT} EX-0007`]);
    await world.tell("invoice.paid", START + 2 * DAY, paidInvoice(other, START + 2 * DAY));
    await world.sendMails(START + 2 * DAY + 60);
    expect(heard()).toEqual([`${RECEIPT} EX-0007`, `${RECOVERED} EX-0008`]);
    expect(await world.text(RECOVERED)).toContain("Amount paid: €20.00");
  });
});
