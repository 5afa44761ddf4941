import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { createTestDatabase, type TestDatabase } from "../../support/database.ts";
import { DAY, DunningWorld, HOUR, type Subscriber } from "../../support/dunning-world.ts";
import { customer } from "../../support/stripe/customers.ts";
import { type StripeEvent, stripeEvent } from "../../support/stripe/events.ts";
import { charge, paymentIntent, refund } from "../../support/stripe/payments.ts";

describe.each([
  {
    language: "en",
    issued: /^Your refund of (\S+) from/,
    failed: /^Your refund of (\S+) from .* could not be paid out/,
    back: /the money has come back to us.*another way/s,
    whole: /your payment of \$20.00 for Plan of 2000 usd a month in full/,
    part: /\$5.00 of your payment of \$20.00/,
  },
  {
    language: "de",
    issued: /^Ihre Erstattung von .* über (\S+\s\$)$/m,
    failed: /^Ihre Erstattung von .* über (\S+\s\$) konnte nicht ausgezahlt werden/,
    back: /das Geld ist wieder bei uns.*auf einem anderen Weg/s,
    whole: /Ihre Zahlung von 20,00\s\$ für Plan of 2000 usd a month vollständig/,
    part: /5,00\s\$ Ihrer Zahlung von 20,00\s\$/,
  },
])("in the inbox, in $language", ({ language, issued, failed, back, whole, part }) => {
  let world: DunningWorld;
  beforeEach(async () => {
    world = await DunningWorld.open();
  });
  afterEach(() => world.close());

  async function subscriber(card: string): Promise<Subscriber & { intent: string }> {
    const { id: customer } = await world.stripe.customers.create({
      email: "refund@example.com",
      preferred_locales: [language],
    });
    const method = await world.stripe.paymentMethods.attach(card, { customer });
    await world.stripe.customers.update(customer, {
      invoice_settings: { default_payment_method: method.id },
    });
    const { id: subscription } = await world.addSubscription(customer, 2000, "usd");
    await world.arrive();
    await world.deliver();
    const { data } = await world.stripe.paymentIntents.list({ customer });
    return {
      customer,
      email: "refund@example.com",
      card: method.id,
      subscription,
      intent: String(data[0]?.id),
    };
  }
  async function refunds(hours = 0): Promise<string[]> {
    await world.passTime(new Date(world.now.getTime() + hours * HOUR));
    await world.deliver();
    return world.inbox
      .emails()
      .filter(({ tags }) => tags?.some(({ value }) => value.startsWith("refund-")))
      .map(({ subject, text }) => `${subject}\n${text}`);
  }

  it("each of two refunds of a payment gets one mail, with what it returns of what was paid", async () => {
    const { intent } = await subscriber("pm_card_visa");
    await world.stripe.refunds.create({ payment_intent: intent, amount: 500 });
    await refunds(1);
    await world.stripe.refunds.create({ payment_intent: intent, amount: 500 });
    await refunds(1);
    const told = await refunds(30 * 24);
    expect(told).toHaveLength(2);
    for (const text of told) {
      expect(text).toMatch(issued);
      expect(text).toMatch(part);
    }
  });

  it("one that failed gets a mail too, and one made again gets another", async () => {
    const { intent } = await subscriber("pm_card_refundFail");
    await world.stripe.refunds.create({ payment_intent: intent });
    expect(await refunds()).toHaveLength(1);
    const [first, second, ...none] = await refunds(10 * 24);
    expect(none).toEqual([]);
    expect(first).toMatch(whole);
    expect(second).toMatch(failed);
    expect(second).toMatch(back);
    await world.stripe.refunds.create({ payment_intent: intent });
    const again = await refunds();
    expect(again).toHaveLength(3);
    expect(again[2]).toMatch(issued);
    expect(again[2]).toMatch(whole);
  });
});

describe("whatever comes first", () => {
  const NOW = 1_790_845_200;
  let database: TestDatabase;
  let people = 0;
  beforeAll(async () => {
    database = await createTestDatabase();
  });
  afterAll(() => database.drop());

  type Named = { name: string; event: StripeEvent };
  /** The events of a payment of EUR 49.00 whose refund failed and was made again, and of a refund of a part of another. */
  function story(): { who: string; events: Named[] } {
    const who = `R${++people}`;
    const at = (days: number) => NOW + days * DAY_SECONDS;
    const paid = charge({
      id: `ch_${who}`,
      created: at(0),
      amount: 4900,
      customer: `cus_${who}`,
      payment_intent: `pi_${who}`,
      status: "succeeded",
    } as never);
    const returned = (id: string, day: number, status: string, failure?: object) =>
      // Stripe's refunds name no customer.
      ({
        ...refund({
          id,
          created: at(day),
          charge: paid.id,
          payment_intent: `pi_${who}`,
          amount: 4900,
        } as never),
        status,
        ...failure,
      }) as StripeEvent["data"]["object"];
    const one = returned(`re_${who}a`, 1, "succeeded");
    const failure = returned(`re_${who}a`, 1, "failed", { failure_reason: "lost_or_stolen_card" });
    const two = returned(`re_${who}b`, 9, "pending");
    const refunded = { ...paid, amount_refunded: 4900, refunded: true };
    const event = (name: string, type: string, day: number, object: object, previous?: object): Named => ({
      name,
      event: stripeEvent({
        id: `evt_${who}${name}`,
        type,
        created: at(day),
        api_version: "2025-09-30.clover",
        object: object as never,
        previous: previous as never,
      }),
    });
    return {
      who,
      events: [
        event("paid", "charge.succeeded", 0, paid),
        event(
          "intent",
          "payment_intent.succeeded",
          0,
          paymentIntent({
            id: `pi_${who}`,
            created: at(0),
            amount: 4900,
            customer: `cus_${who}`,
            status: "succeeded",
            amount_received: 4900,
            latest_charge: paid.id,
          } as never),
        ),
        event("sum1", "charge.refunded", 1, refunded, { amount_refunded: 0 }),
        event("one", "refund.created", 1, one),
        event("failed", "refund.failed", 6, failure),
        event("sum2", "charge.refunded", 9, refunded, { amount_refunded: 0 }),
        event("two", "refund.created", 9, two),
      ],
    };
  }
  const DAY_SECONDS = DAY / 1000;

  /** Which refunds are told of, once the ten minutes are over in which a charge waits for its refund. */
  async function told(who: string): Promise<string[]> {
    const rows = await database.sql<{ mail: string }[]>`
      select concat_ws(' ', payload ->> 'template', right(payload ->> 'refund', 1)) as mail
      from billing.outbox where payload ->> 'customer' = ${`cus_${who}`} and kind = 'email' and status <> 'canceled'
      and payload ->> 'template' like 'refund%' order by 1`;
    return rows.map(({ mail }) => mail);
  }
  async function tell(who: string, events: readonly Named[]): Promise<void> {
    const known = customer({ id: `cus_${who}`, created: NOW, email: `${who}@example.com` } as never);
    const made = stripeEvent({
      id: `evt_${who}`,
      type: "customer.created",
      created: NOW,
      api_version: "2025-09-30.clover",
      object: known,
    });
    expect(await database.receive(made, new Date(NOW * 1000))).toBe("processed");
    for (const { event } of events)
      expect(await database.receive(event, new Date((NOW + 20 * DAY_SECONDS) * 1000))).toBe("processed");
  }

  it("every refund gets one mail: the one that failed as failed, the one made again as made", async () => {
    const orders = everyOrder([0, 1, 2, 3, 4, 5, 6]).filter((_, index) => index % 84 === 7);
    expect(orders).toHaveLength(60);
    for (const order of orders) {
      const { who, events } = story();
      const shuffled = order.map((index) => events[index] as Named);
      await tell(who, shuffled);
      const names = shuffled.map(({ name }) => name);
      const mails = await told(who);
      expect(
        mails.filter((mail) => mail !== "refund-issued a"),
        names.join(),
      ).toEqual(["refund-failed a", "refund-issued b"]);
    }
  }, 120_000);

  it("an endpoint that gets events of charges alone: every refund gets a mail, also one that brought the sum to what it was", async () => {
    const { who, events } = story();
    await tell(
      who,
      events.filter(({ name }) => ["paid", "intent", "sum1", "sum2"].includes(name)),
    );
    expect(await told(who)).toEqual(["refund-issued", "refund-issued"]);
    const waits = await database.sql`
      select run_after - created_at as wait from billing.outbox
      where payload ->> 'charge' = ${`ch_${who}`} and kind = 'email' and status = 'pending'`;
    expect(waits).toEqual([{ wait: "00:10:00" }, { wait: "00:10:00" }]);
  });

  it("a mail that the charge brought about, and that has left, is the refund's which comes later", async () => {
    const { who, events } = story();
    const of = (...names: string[]) => events.filter(({ name }) => names.includes(name));
    await tell(who, of("paid", "sum1"));
    await database.sql`
      update billing.outbox set status = 'delivered', attempts = 1, finished_at = now() where payload ->> 'charge' = ${`ch_${who}`}`;
    for (const { event } of of("one", "failed"))
      await database.receive(event, new Date((NOW + 20 * DAY_SECONDS) * 1000));
    expect(await told(who)).toEqual(["refund-failed a", "refund-issued a"]);
  });

  it("one that was canceled before a mail about it was sent gets no mail; after one it does", async () => {
    for (const left of [false, true]) {
      const { who, events } = story();
      const of = (...names: string[]) => events.filter(({ name }) => names.includes(name));
      await tell(who, of("paid", "one"));
      if (left)
        await database.sql`
          update billing.outbox set status = 'delivered', attempts = 1, finished_at = now() where payload ->> 'charge' = ${`ch_${who}`}`;
      const [failed] = of("failed");
      const canceled = structuredClone(failed?.event) as StripeEvent;
      canceled.data.object.status = "canceled";
      await database.receive(canceled, new Date((NOW + 20 * DAY_SECONDS) * 1000));
      expect(await told(who)).toEqual(left ? ["refund-failed a", "refund-issued a"] : []);
    }
  });
});

function everyOrder(of: number[]): number[][] {
  if (of.length <= 1) return [of];
  return of.flatMap((first) => everyOrder(of.filter((it) => it !== first)).map((rest) => [first, ...rest]));
}
