import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { EmailName } from "../../../emails/contract.ts";
import { emailNames } from "../../../emails/index.ts";
import { specimens } from "../../../emails/preview/specimens.ts";
import { startInbox } from "../../../scripts/local/inbox/server.ts";
import { createTestDatabase, type TestDatabase } from "../../support/database.ts";
import { deliver } from "../../support/delivering.ts";
import { loadFixtures } from "../../support/fixtures.ts";
import type { StripeEvent } from "../../support/stripe/events.ts";
import { DAY, HOUR, paidInvoice, START, ToldDatabase, told, unpaid } from "../dunning/told.ts";

let database: TestDatabase;
const sources = new Map<string, string>();
beforeAll(async () => {
  database = await createTestDatabase();
  const functions = await database.sql<{ name: string; source: string }[]>`
    select p.proname as name, p.prosrc as source from pg_proc as p
    where p.pronamespace in ('billing'::regnamespace, 'billing_private'::regnamespace)`;
  for (const { name, source } of functions) sources.set(name, (sources.get(name) ?? "") + source);
});
afterAll(() => database.drop());

/** What takes a mail as it is given: it says nothing of what is in one. */
const carriers = new Set(["enqueue_email", "enqueue_email_to", "enqueue", "audit"]);

/** The names of the functions that enqueue or write a mail by its name. */
function functionsOf(template: EmailName): string[] {
  return [...sources].filter(([, source]) => source.includes(`'${template}'`)).map(([name]) => name);
}

/** The text constants of functions, and of whatever they call. */
function constantsBehind(open: string[]): Set<string> {
  const read = new Set<string>();
  for (let name = open.pop(); name !== undefined; name = open.pop()) {
    if (read.has(name) || carriers.has(name)) continue;
    read.add(name);
    const called = sources.get(name)?.matchAll(/\bbilling(?:_private)?\.([a-z_]+)\s*\(/g) ?? [];
    for (const [, callee = ""] of called) if (sources.has(callee)) open.push(callee);
  }
  const constants = [...read].flatMap((name) => [
    ...(sources.get(name)?.matchAll(/['"]([A-Za-z_][A-Za-z0-9_]*)['"]/g) ?? []),
  ]);
  return new Set(constants.map(([, constant = ""]) => constant));
}

const isThere = (value: unknown) => value !== null && value !== undefined;

/** Names of all fields that a specimen shows something in, nested ones too, and the kinds it is of. */
function shown(value: unknown): string[] {
  if (Array.isArray(value)) return value.flatMap(shown);
  if (typeof value !== "object" || value === null) return [];
  return Object.entries(value)
    .filter(([, inner]) => isThere(inner))
    .flatMap(([key, inner]) => [
      key,
      // What kind of mail it is, production says itself; other values are Stripe's, and so is a dispute's reason.
      ...(["kind", "outcome", "scope"].includes(key) || (key === "reason" && !("disputeId" in value))
        ? [String(inner)]
        : []),
      ...shown(inner),
    ]);
}

describe.each(emailNames)("%s", (template) => {
  it("promises nothing in its previews that no function fills", () => {
    const own = constantsBehind(functionsOf(template));
    // What is within a field that is named without a value is filled in when the mail is written.
    const inner = new Set([...own, ...constantsBehind(["fill_email_props"])]);
    const promised = specimens()
      .filter((specimen) => specimen.template === template)
      .flatMap(({ name, props }) =>
        [
          ...Object.keys(props).filter((field) => isThere(props[field]) && !own.has(field)),
          ...shown(props).filter((word) => !inner.has(word)),
        ].map((word) => `${name}: ${word}`),
      );
    expect([...new Set(promised)]).toEqual([]);
  });
});

type Props = Record<string, unknown>;
const all = (props: Props, field: string) => (props[field] ?? []) as Props[];
const time = (value: unknown) => new Date(String(value)).getTime();

const FAILED: EmailName[] = ["payment-failed-notice", "payment-failed-urgent", "payment-failed-final"];

/** What goes together in every mail that is sent, and so has to in every preview. */
const INVARIANTS: { invariant: string; of: EmailName[]; holds(props: Props): boolean }[] = [
  {
    invariant: "what is taken away has a day, and a number of days until it",
    of: FAILED,
    holds: (props) =>
      new Set(["accessEndsAt", "daysLeft", "endAction"].map((f) => isThere(props[f]))).size === 1,
  },
  {
    invariant: "the day it is taken away is over everywhere",
    of: FAILED,
    holds: ({ accessEndsAt }) => !isThere(accessEndsAt) || time(accessEndsAt) % 86_400_000 >= 43_200_000,
  },
  {
    invariant: "nothing is taken away from whoever leaves before",
    of: FAILED,
    holds: ({ leaving, accessEndsAt }) => !leaving || !isThere(accessEndsAt),
  },
  {
    invariant: "a fixed term ends later",
    of: FAILED,
    holds: ({ setToEndAt, accessEndsAt }) => !isThere(setToEndAt) || time(setToEndAt) > time(accessEndsAt),
  },
  {
    invariant: "each invoice says how it is collected",
    of: FAILED,
    holds: (props) => all(props, "invoices").every(({ collectionMethod }) => isThere(collectionMethod)),
  },
  {
    invariant: "of invoices that are sent nothing is charged again",
    of: FAILED,
    holds: (props) =>
      !isThere(props.nextPaymentAttempt) ||
      all(props, "invoices").some(({ collectionMethod }) => collectionMethod === "charge_automatically"),
  },
  {
    invariant: "an event brings ten lines at most, each with its period",
    of: ["payment-receipt"],
    holds: (props) =>
      all(props, "lines").length <= 10 &&
      all(props, "lines").every(({ periodStart, periodEnd }) => isThere(periodStart) && isThere(periodEnd)),
  },
  {
    invariant: "there are more lines where there are more than it brings",
    of: ["payment-receipt"],
    holds: ({ lines, lineCount, moreLines }) =>
      !isThere(lineCount) || Number(lineCount) > (lines as []).length === (moreLines === true),
  },
  {
    invariant: "a tax that is named has a rate",
    of: ["payment-receipt"],
    holds: (props) => all(props, "taxes").every(({ label, rate }) => !isThere(label) || isThere(rate)),
  },
  {
    invariant: "a refund is full where all that was paid comes back",
    of: ["refund-issued"],
    holds: ({ scope, refundAmount, paymentAmount }) =>
      (scope === "full") === (refundAmount === paymentAmount),
  },
  {
    invariant: "a debt that ends a subscription early is named, and the subscription still runs",
    of: ["subscription-canceled"],
    holds: ({ unlessPaid, openInvoice, reason }) =>
      !isThere(unlessPaid) || (isThere(openInvoice) && reason === "at_period_end"),
  },
  {
    invariant: "a card that expires does so before a payment",
    of: ["card-expiring"],
    holds: ({ nextPaymentAt, expYear, expMonth }) =>
      isThere(nextPaymentAt) && time(nextPaymentAt) >= Date.UTC(Number(expYear), Number(expMonth), 1),
  },
];

describe("what is sent", () => {
  const sent: { template: string; props: Props }[] = [];
  const collect = async (from: TestDatabase) => {
    sent.push(
      ...(await from.sql<{ template: string; props: Props }[]>`
        select payload ->> 'template' as template, billing_private.fill_email_props(payload) as props
        from billing.outbox where kind = 'email'`),
    );
  };

  /** The ladder of one debt, up to its payment or the final warning. */
  async function ladder(begun = told(), bill = unpaid(), isPaid = true): Promise<void> {
    const world = await ToldDatabase.open(begun);
    if (bill.collection_method === "send_invoice") await world.tell("invoice.overdue", START + HOUR, bill);
    else await world.fail(bill);
    for (const day of [0, 3, 7]) {
      await world.evaluate(START + day * DAY + 2 * HOUR);
      await world.sendMails(START + day * DAY + 2 * HOUR);
    }
    const at = START + 8 * DAY;
    if (isPaid) await world.tell("invoice.paid", at, paidInvoice(bill, at), bill);
    await world.evaluate(at + HOUR);
    await collect(world.database);
    await world.close();
  }

  beforeAll(async () => {
    const story = await createTestDatabase();
    for (const event of loadFixtures()) await story.receive(event, new Date((event.created + 2) * 1000));
    await collect(story);
    await story.drop();
    await ladder();
    await ladder(told({ cancel_at: START + 400 * DAY }));
    await ladder(told({ cancel_at_period_end: true, cancel_at: START + 5 * DAY, canceled_at: START }));
    await ladder(
      told(),
      unpaid({ collection_method: "send_invoice", due_date: START, next_payment_attempt: null }),
      false,
    );
  }, 120_000);

  it.each(INVARIANTS)("keeps to it that $invariant, and so do the previews", ({ of, holds }) => {
    const samples = sent.filter(({ template }) => of.includes(template as EmailName));
    expect(samples.filter(({ props }) => !holds(props))).toEqual([]);
    const broken = specimens().filter(({ template, props }) => of.includes(template) && !holds(props));
    expect(broken.map(({ name }) => name)).toEqual([]);
    // An invariant that no mail was held to says nothing. Nobody's card expires in these stories.
    if (!of.includes("card-expiring")) expect(samples.length).toBeGreaterThan(0);
  });
});

describe.each([
  ["en", ["VAT 19%: €16.53", "Visa ending in 4242", "for Team"]],
  ["de", ["VAT 19 %: 16,53 €", "Visa mit den Endziffern 4242", "für Team"]],
])("in the inbox, in %s", (language, [tax, card, plan]) => {
  const TOLD = [
    "customer.",
    "product.",
    "price.",
    "customer.subscription.created",
    "invoice.",
    "invoice_payment.",
  ];
  const PAID = ["payment_intent.succeeded", "charge.succeeded", "charge.refunded", "refund.created"];
  /** The story's events, with the customer's language and the name of the tax. */
  const story = () =>
    loadFixtures()
      .filter(({ type }) => [...TOLD, ...PAID].some((part) => type.startsWith(part)))
      .map((event): StripeEvent => {
        const { object } = event.data;
        if (object.object === "customer") object.preferred_locales = [language];
        if (object.object === "invoice") {
          object.default_tax_rates = [
            {
              id: "txr_example19",
              object: "tax_rate",
              display_name: "VAT",
              percentage: 19,
              inclusive: false,
            },
          ];
        }
        return event;
      });

  it("a receipt names tax and card, and a refund the plan and the card", async () => {
    const inbox = await startInbox({ port: 0, mailbox: false, ratePerSecond: Number.POSITIVE_INFINITY });
    const database = await createTestDatabase();
    // The fixtures are of several weeks, and mail that is three days old is not sent any more: it leaves every 29 days,
    // once that is allowed.
    await database.sql`update billing.settings set stale_mail_days = 30 where id`;
    const leave = (second: number) =>
      deliver({ database, resend: { url: inbox.apiUrl } }, new Date(second * 1000));
    const events = story().sort((one, other) => one.created - other.created);
    let since = events[0]?.created ?? 0;
    for (const event of events) {
      if (event.created - since > 29 * 86_400) {
        await leave(since + 29 * 86_400);
        since = event.created;
      }
      await database.receive(event, new Date((event.created + 2) * 1000));
    }
    await leave(Math.max(...events.map(({ created }) => created)) + 3600);
    const text = (template: EmailName) =>
      inbox.emails().find(({ tags }) => tags?.some(({ value }) => value === template))?.text ?? "";
    const spaced = (said: string) => said.replace(/[\u00a0\u202f]/g, " ");
    expect(spaced(text("payment-receipt"))).toContain(tax);
    expect(spaced(text("payment-receipt"))).toContain("Visa •••• 4242");
    expect(spaced(text("refund-issued"))).toContain(card);
    expect(spaced(text("refund-issued"))).toContain(plan);
    await inbox.close();
    await database.drop();
  });
});
