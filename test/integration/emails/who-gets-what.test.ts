import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { type Inbox, startInbox } from "../../../scripts/local/inbox/server.ts";
import { createTestDatabase, type TestDatabase } from "../../support/database.ts";
import { deliver } from "../../support/delivering.ts";
import { fixture, loadFixtures, renamedFixture } from "../../support/fixtures.ts";
import type { StripeEvent } from "../../support/stripe/events.ts";

const databases: TestDatabase[] = [];
let inbox: Inbox;
beforeAll(async () => {
  inbox = await startInbox({ port: 0, mailbox: false, ratePerSecond: Number.POSITIVE_INFINITY });
});
afterAll(async () => {
  await inbox.close();
  for (const database of databases) await database.drop();
});
async function newDatabase(): Promise<TestDatabase> {
  const database = await createTestDatabase();
  databases.push(database);
  return database;
}

const secondsAfter = (event: StripeEvent, seconds: number) => new Date((event.created + seconds) * 1000);
async function receive(database: TestDatabase, event: StripeEvent, late = 2) {
  return database.receive(event, secondsAfter(event, late));
}
/** Every mail in the outbox, as template and fact. */
async function enqueued(database: TestDatabase): Promise<string[]> {
  const rows = await database.sql<{ mail: string }[]>`
    select (payload ->> 'template') || ' ' || dedupe_key as mail from billing.outbox
    where kind = 'email' and status <> 'canceled' order by id
  `;
  return rows.map(({ mail }) => mail);
}
function changed(type: string, name: string, object: object, event: Partial<StripeEvent> = {}): StripeEvent {
  const renamed = renamedFixture(fixture(type), name);
  return {
    ...renamed,
    ...event,
    data: { ...renamed.data, object: { ...renamed.data.object, ...object } },
  } as StripeEvent;
}

const STORY = [
  "trial-ending trial-ending:sub_ExampleTeam:1789635600",
  "payment-action-required action-required:in_ExampleFirst:2",
  "payment-receipt receipt:in_ExampleFirst",
  "refund-issued refund:re_ExampleSeat",
  "trial-ended-without-card paused:sub_ExampleAddon:1791190800",
  "subscription-resumed resumed:sub_ExampleAddon:1791363600",
  "subscription-canceled canceled:sub_ExampleTeam:1794301200",
];

describe("the fixtures' story", () => {
  let database: TestDatabase;
  beforeAll(async () => {
    database = await newDatabase();
  });

  it("enqueues each mail in the transaction of the state it is about, and every one of them can be rendered and sent", async () => {
    // Her address is known before her story begins.
    await receive(database, fixture("customer.updated"));
    for (const event of loadFixtures()) {
      await receive(database, event);
      await deliver({ database, resend: { url: inbox.apiUrl } }, secondsAfter(event, 5));
    }
    const dead =
      await database.sql`select last_error from billing.outbox where kind = 'email' and status = 'dead'`;
    expect(dead).toEqual([]);
    expect(await enqueued(database)).toEqual(STORY);
    const subjects = inbox.emails().map(({ subject }) => subject);
    expect(subjects).toMatchSnapshot();
  });

  it("received again, by repetition and by replay, it enqueues nothing more", async () => {
    const before = await enqueued(database);
    for (const event of loadFixtures()) {
      expect(await receive(database, event, 3600)).toBe("duplicate");
      await database.sql`select billing_private.retry_projection(${event.id}, ${secondsAfter(event, 7200)})`;
    }
    expect(await enqueued(database)).toEqual(before);
  });

  it("received backwards it enqueues what is true, and no mail that is out of date", async () => {
    const backwards = await newDatabase();
    for (const event of loadFixtures().reverse()) await receive(backwards, event);
    const mails = await enqueued(backwards);
    expect(mails).toEqual(
      expect.arrayContaining([
        "payment-receipt receipt:in_ExampleFirst",
        "refund-issued refund:re_ExampleSeat",
      ]),
    );
    for (const stale of ["paused:", "trial-ending:", "dunning:", "action-required:"]) {
      expect(
        mails.filter((mail) => mail.includes(` ${stale}`)),
        stale,
      ).toEqual([]);
    }
    for (const mail of mails) expect(STORY).toContain(mail);
  });
});

describe("a receipt", () => {
  it("is enqueued once for the two events that tell of it", async () => {
    const database = await newDatabase();
    await receive(database, fixture("invoice.paid"));
    await receive(database, fixture("invoice.payment_succeeded"));
    const mails = (await enqueued(database)).filter((mail) => mail.startsWith("payment-receipt"));
    expect(new Set(mails).size).toBe(mails.length);
    expect(mails).toContain("payment-receipt receipt:in_ExampleFirst");
  });

  it("is not enqueued for an invoice that cost nothing", async () => {
    const database = await newDatabase();
    await receive(database, changed("invoice.paid", "Free", { amount_paid: 0, amount_due: 0, total: 0 }));
    expect(await enqueued(database)).toEqual([]);
  });

  it("goes to the invoice's address where the customer's own event has not come yet", async () => {
    const database = await newDatabase();
    inbox.ledger.clear();
    await receive(database, changed("invoice.paid", "Early", { customer_email: "early@example.com" }));
    await deliver({ database, resend: { url: inbox.apiUrl } }, secondsAfter(fixture("invoice.paid"), 5));
    expect(inbox.ledger.mails[0]?.to).toEqual(["early@example.com"]);
  });

  it("is not enqueued while receipts are switched off, and withheld for events of last week", async () => {
    const database = await newDatabase();
    await database.sql`update billing.settings set emails_off = '{payment-receipt}' where id`;
    await receive(database, renamedFixture(fixture("invoice.paid"), "Off"));
    await database.sql`
      update billing.settings
      set emails_off = '{}', livemode = true, app_name = 'Example Notes', app_url = 'https://notes.example.com' where id`;
    await receive(database, changed("invoice.paid", "Late", {}, { livemode: true }), 8 * 86_400);
    await deliver(
      { database, resend: { url: inbox.apiUrl } },
      new Date((fixture("invoice.paid").created + 8 * 86_400 + 5) * 1000),
    );
    const mails =
      await database.sql`select dedupe_key, status, withheld_reason from billing.outbox where kind = 'email'`;
    expect(mails).toEqual([
      { dedupe_key: "receipt:in_LateFirst", status: "withheld", withheld_reason: "stale" },
    ]);
  });
});

describe("a failed payment", () => {
  it("that needs the customer's confirmation asks for that, and says nothing else", async () => {
    for (const order of [1, -1]) {
      const database = await newDatabase();
      const created = 1_789_900_000;
      const events = ["invoice.payment_failed", "invoice.payment_action_required"].map((type) =>
        changed(type, "Both", { status: "open", attempt_count: 1 }, { created }),
      );
      for (const event of order === 1 ? events : events.reverse()) await receive(database, event);
      expect(await enqueued(database)).toEqual(["payment-action-required action-required:in_BothFirst:1"]);
    }
  });

  it("of a first invoice is left to the checkout, and of a paid one is not sent", async () => {
    const database = await newDatabase();
    await receive(
      database,
      changed("invoice.payment_failed", "New", { billing_reason: "subscription_create" }),
    );
    await receive(database, renamedFixture(fixture("invoice.paid"), "Paid"));
    await receive(database, renamedFixture(fixture("invoice.payment_failed"), "Paid"));
    expect((await enqueued(database)).filter((mail) => mail.startsWith("payment-failed"))).toEqual([]);
  });
});

describe("a cancellation", () => {
  const end = 1_795_000_000;
  const deletion = (name: string, object: object) =>
    changed("customer.subscription.deleted", name, { ended_at: end, ...object }, { created: end });

  const asked = end - 20 * 86_400;
  const made = { created: end - 90 * 86_400, start_date: end - 90 * 86_400 };
  /** An update that changes when the subscription ends; `previous` is what it had before. */
  const update = (name: string, created: number, object: object, previous: object) => {
    const event = changed(
      "customer.subscription.updated",
      name,
      {
        status: "active",
        ended_at: null,
        cancel_at_period_end: false,
        cancel_at: null,
        canceled_at: null,
        ...made,
        ...object,
      },
      { id: `evt_${name}${created}`, created },
    );
    event.data.previous_attributes = previous as Record<string, unknown>;
    return event;
  };
  const reasons = async (database: TestDatabase) =>
    (
      await database.sql<{ reason: string }[]>`
        select payload #>> '{props,reason}' as reason from billing.outbox where kind = 'email' order by id
      `
    ).map(({ reason }) => reason);

  it.each([
    ["classic billing", true],
    ["flexible billing, where the portal sets the date alone,", false],
  ])(
    "announced for the end of the period under %s is told then, and not again when it comes",
    async (_mode, flag) => {
      const database = await newDatabase();
      const leaving = { cancel_at_period_end: flag, cancel_at: end, canceled_at: asked };
      const before = { cancel_at: null, canceled_at: null, ...(flag ? { cancel_at_period_end: false } : {}) };
      await receive(database, update("Leaving", asked, leaving, before));
      // Another change of it is no other cancellation.
      await receive(database, update("Leaving", asked + 60, { ...leaving, quantity: 2 }, { quantity: 1 }));
      await receive(database, deletion("Leaving", { ...made, ...leaving }));
      expect(await enqueued(database)).toEqual([`subscription-canceled canceled:sub_LeavingTeam:${asked}`]);
      expect(await reasons(database)).toEqual(["at_period_end"]);
    },
  );

  it("that was undone and made again is mailed again", async () => {
    const database = await newDatabase();
    const once = { cancel_at: end, canceled_at: asked };
    const again = { cancel_at: end, canceled_at: asked + 86_400 };
    const none = { cancel_at: null, canceled_at: null };
    await receive(database, update("Wavering", asked, once, none));
    await receive(database, update("Wavering", asked + 3600, none, once));
    await receive(database, update("Wavering", asked + 86_400, again, none));
    expect(await reasons(database)).toEqual(["at_period_end", "at_period_end"]);
  });

  it("of a fixed term is none: the mail about its end is sent when it ends, and says so", async () => {
    const database = await newDatabase();
    const term = { cancel_at: end, canceled_at: made.created };
    // Moved by the merchant; still nobody has canceled.
    await receive(database, update("Term", asked, term, { cancel_at: end - 86_400 }));
    expect(await enqueued(database)).toEqual([]);
    await receive(
      database,
      deletion("Term", { ...made, ...term, cancel_at_period_end: false, cancellation_details: null }),
    );
    expect(await reasons(database)).toEqual(["term_ended"]);
  });

  it.each([
    [
      "by the customer",
      { cancellation_details: { reason: "cancellation_requested" } },
      "subscription-canceled",
      "requested",
    ],
    [
      "by Stripe's own retries",
      { cancellation_details: { reason: "payment_failed" } },
      "subscription-canceled",
      "payment_failed",
    ],
    [
      "for a dispute",
      { cancellation_details: { reason: "payment_disputed" } },
      "subscription-canceled",
      "payment_disputed",
    ],
    [
      "because a trial ran out without a card",
      {
        trial_end: end,
        trial_settings: { end_behavior: { missing_payment_method: "cancel" } },
        default_payment_method: null,
      },
      "trial-ended-without-card",
      null,
    ],
  ])("%s says so", async (_how, object, template, reason) => {
    const database = await newDatabase();
    await receive(database, deletion("Gone", object));
    const rows =
      await database.sql`select payload ->> 'template' as template, payload #>> '{props,reason}' as reason from billing.outbox where kind = 'email'`;
    expect(rows).toEqual([{ template, reason }]);
  });
});

describe("a refund", () => {
  it("is none where a hold is let go: nothing had been taken", async () => {
    const database = await newDatabase();
    await receive(database, changed("charge.refunded", "Held", { captured: false, amount_captured: 0 }));
    expect(await enqueued(database)).toEqual([]);
    await receive(database, renamedFixture(fixture("charge.refunded"), "Taken"));
    expect(await enqueued(database)).toEqual(["refund-issued refund:ch_TakenFirst:2900:1789988400"]);
  });
});

describe("a card that expires", () => {
  const upcoming = fixture("invoice.upcoming");
  const charged = Number(upcoming.data.object.next_payment_attempt);
  /** Ada's subscription and customer, which name the card, and the card, good until the end of a month. */
  const known = async (database: TestDatabase, name: string, expiry: object, card: object = {}) => {
    await receive(database, renamedFixture(fixture("customer.updated"), name));
    await receive(database, renamedFixture(fixture("customer.subscription.created"), name));
    const attached = renamedFixture(fixture("payment_method.attached"), name);
    const method = { ...attached.data.object, ...card };
    const shown = { ...method, card: { ...(method.card as object), ...expiry } };
    await receive(database, { ...attached, data: { object: shown } });
  };
  const expiring = (mails: string[]) => mails.filter((mail) => mail.startsWith("card-expiring"));

  it("before the next payment is mailed once, however often and for whatever that payment is announced", async () => {
    const database = await newDatabase();
    inbox.ledger.clear();
    await known(database, "Expired", { exp_month: 8, exp_year: 2026 });
    await receive(database, renamedFixture(upcoming, "Expired"));
    await receive(database, { ...renamedFixture(upcoming, "Expired"), id: "evt_ExpiredAgain" });
    expect(expiring(await enqueued(database))).toEqual(["card-expiring card-expiring:pm_ExpiredVisa:2026-8"]);
    await deliver({ database, resend: { url: inbox.apiUrl } }, secondsAfter(upcoming, 5));
    expect(inbox.ledger.mails.map(({ to }) => to)).toEqual([["ada@example.com"]]);
    const dead = await database.sql`select last_error from billing.outbox where status = 'dead'`;
    expect(dead).toEqual([]);
  });

  it("with the month of the payment is good for it, to the last second", async () => {
    const database = await newDatabase();
    await known(database, "Good", { exp_month: 9, exp_year: 2026 });
    const inTime = (seconds: number) =>
      changed("invoice.upcoming", "Good", { next_payment_attempt: seconds }, { id: `evt_Good${seconds}` });
    const october = Date.UTC(2026, 9, 1) / 1000;
    await receive(database, inTime(charged));
    await receive(database, inTime(october - 1));
    expect(expiring(await enqueued(database))).toEqual([]);
    await receive(database, inTime(october));
    expect(expiring(await enqueued(database))).toEqual(["card-expiring card-expiring:pm_GoodVisa:2026-9"]);
  });

  it("is not mailed where it is not charged: nothing is due, the invoice is sent, the card is gone, or it is no card", async () => {
    const database = await newDatabase();
    await known(database, "Free", { exp_month: 8, exp_year: 2026 });
    await receive(database, changed("invoice.upcoming", "Free", { amount_due: 0 }));
    await known(database, "Sent", { exp_month: 8, exp_year: 2026 });
    await receive(database, changed("invoice.upcoming", "Sent", { collection_method: "send_invoice" }));
    await known(database, "Gone", { exp_month: 8, exp_year: 2026 }, { customer: null });
    await receive(database, renamedFixture(upcoming, "Gone"));
    await known(database, "Debit", { exp_month: null, exp_year: null }, { type: "sepa_debit" });
    await receive(database, renamedFixture(upcoming, "Debit"));
    await known(database, "Odd", { exp_month: 0, exp_year: 0 });
    expect(await receive(database, renamedFixture(upcoming, "Odd"))).toBe("processed");
    await receive(database, renamedFixture(upcoming, "Unknown"));
    expect(expiring(await enqueued(database))).toEqual([]);
  });

  it("is not mailed while that is switched off", async () => {
    const database = await newDatabase();
    await database.sql`update billing.settings set emails_off = '{card-expiring}' where id`;
    await known(database, "Off", { exp_month: 8, exp_year: 2026 });
    await receive(database, renamedFixture(upcoming, "Off"));
    expect(expiring(await enqueued(database))).toEqual([]);
  });

  it("is the one that the invoice names, else the subscription, else the customer", async () => {
    const database = await newDatabase();
    await known(database, "Both", { exp_month: 8, exp_year: 2026 });
    const other = renamedFixture(fixture("payment_method.attached"), "Other");
    await receive(database, {
      ...other,
      data: { object: { ...other.data.object, customer: "cus_BothAda" } },
    });
    await receive(database, changed("invoice.upcoming", "Both", { default_payment_method: "pm_OtherVisa" }));
    expect(expiring(await enqueued(database))).toEqual([]);
    await receive(database, { ...renamedFixture(upcoming, "Both"), id: "evt_BothAgain" });
    expect(expiring(await enqueued(database))).toHaveLength(1);
  });
});
