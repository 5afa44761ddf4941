import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { CUSTOMER, DAY, HOUR, paidInvoice, START, ToldDatabase, told, unpaid } from "../dunning/told.ts";

let world: ToldDatabase;
beforeEach(async () => {
  world = await ToldDatabase.open();
});
afterEach(() => world.close());

const LADDER = [
  "payment-failed-notice",
  "payment-failed-urgent",
  "payment-failed-final",
  "payment-recovered",
];

/** The ladder of one invoice on some of its days, and its payment on the eighth day. */
async function wholeLadder(of = unpaid(), from = START + HOUR, days = [0, 3, 7]): Promise<void> {
  await world.fail(of, from);
  for (const day of days) {
    await world.evaluate(from + day * DAY + 2 * HOUR);
    await world.sendMails(from + day * DAY + 2 * HOUR);
  }
  const paidAt = from + 8 * DAY;
  await world.tell("invoice.paid", paidAt, paidInvoice(of, paidAt), of);
  await world.tell("customer.subscription.updated", paidAt, told(), told({ status: "past_due" }));
  await world.evaluate(paidAt + HOUR);
  await world.sendMails(paidAt + HOUR);
}

describe.each([
  ["en", "EX-0007", /didn’t go through/],
  ["de", "EX-0007", /fehlgeschlagen/],
])("in the inbox, in %s", (language, number, failed) => {
  it("the mails about one invoice are one conversation, and say that no person wrote them", async () => {
    await world.database
      .sql`update billing.customers set preferred_locales = ${[language]} where id = ${CUSTOMER}`;
    await wholeLadder();
    const mails = world.received();
    const ladder = mails.filter(({ template }) => LADDER.includes(template));
    expect(ladder.map(({ template }) => template)).toEqual(LADDER);
    expect(ladder.map(({ locale }) => locale)).toEqual(LADDER.map(() => language));
    expect(ladder[0]?.text).toMatch(failed);
    expect(ladder.map(({ text }) => text.includes(number))).toEqual([true, true, true, true]);

    const references = ladder.map(({ headers }) => headers.References);
    expect(references[0]).toMatch(/^<[0-9a-f]{32}@example\.com>$/);
    expect(new Set(references).size).toBe(1);
    for (const { headers } of mails) expect(headers["Auto-Submitted"]).toBe("auto-generated");
    for (const { headers, template } of mails) {
      if (!LADDER.includes(template)) expect(headers, template).not.toHaveProperty("References");
    }
  });
});

it("the next invoice's mails are a conversation of their own", async () => {
  await wholeLadder(unpaid(), START + HOUR, [0]);
  await wholeLadder(
    unpaid({ id: "in_ToldNext", created: START + 31 * DAY, number: "EX-0008" }),
    START + 31 * DAY,
    [0],
  );
  const conversations = world
    .received()
    .flatMap(({ template, headers, text }) =>
      LADDER.includes(template) ? [[headers.References, text.match(/EX-\d+/)?.[0]]] : [],
    );
  expect(conversations).toHaveLength(4);
  expect(new Set(conversations.map(String)).size).toBe(2);
  expect(new Set(conversations.map(([references]) => references)).size).toBe(2);
});

it("of a user who is forgotten, nothing is kept that names an invoice's conversation", async () => {
  await wholeLadder(unpaid(), START + HOUR, [0]);
  const [owner] = await world.database.sql`select owner_id from billing.customers where id = ${CUSTOMER}`;
  const kept = () =>
    world.database
      .sql`select count(message_references)::int as n from billing.emails where customer_id = ${CUSTOMER}`;
  expect((await kept())[0]?.n).toBe(2);
  await world.database.sql`select billing.forget_user(${owner?.owner_id})`;
  expect(await kept()).toEqual([{ n: 0 }]);
});
