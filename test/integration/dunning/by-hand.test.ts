import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { DunningWorld, type Subscriber } from "../../support/dunning-world.ts";
import {
  asService,
  CANCELED,
  caseOf,
  days,
  FINAL,
  mails,
  NOTICE,
  newSubscriber,
  overdueSubscriber,
  stepsOf,
  URGENT,
} from "./overdue.ts";

let world: DunningWorld;
beforeAll(async () => {
  world = await DunningWorld.open();
});
afterAll(() => world.close());

const idOf = async ({ subscription }: Subscriber) => (await caseOf(world, subscription))?.id ?? 0;
const close = (id: number, reason: string) =>
  asService(world, "billing.close_dunning($1, $2, $3)", id, reason, world.now);
const open = (subject: string) => asService(world, "billing.open_dunning($1, $2)", subject, world.now);
const audited = async (subject: string) => {
  const found = await world.database.sql`
    select action, actor from billing.audit_events where subject_id = ${subject} and action like 'dunning.%' order by id`;
  return found.map(({ action, actor }) => `${actor} ${action}`);
};

describe("a person may", () => {
  it("close a case: its mail is canceled, and it stays closed while the invoice is open", async () => {
    const somebody = await overdueSubscriber(world);
    const id = await idOf(somebody);
    world.inbox.faults.add({ times: 3, action: { kind: "error", status: 503 } });
    await days(world, 3);
    await close(id, "paid by bank transfer, says the customer");
    await days(world, 9);
    expect(mails(world, somebody)).toEqual([NOTICE]);
    expect(await caseOf(world, somebody.subscription)).toMatchObject({ id, outcome: "closed_by_hand" });
    expect(await stepsOf(world, somebody.subscription)).toEqual(["notice sent", "urgent_reminder canceled"]);
    expect(await audited(somebody.subscription)).toEqual([
      "system dunning.opened",
      "system dunning.notice",
      "system dunning.urgent_reminder",
      "operator dunning.closed_by_hand",
      "system dunning.closed",
    ]);
  });

  it("open one again about the same invoice, which starts with the notice", async () => {
    const somebody = await overdueSubscriber(world);
    const first = await idOf(somebody);
    await close(first, "a mistake");
    const second = await open(somebody.subscription);
    expect(second).not.toBe(first);
    expect(await open(somebody.subscription)).toBe(second);
    await days(world, 1);
    expect(mails(world, somebody)).toEqual([NOTICE, NOTICE]);
    expect(await audited(somebody.subscription)).toContain("operator dunning.opened_by_hand");
    await close(Number(second), "enough");
  });

  it("hold one twice and release it once", async () => {
    const somebody = await overdueSubscriber(world);
    const id = await idOf(somebody);
    await asService(world, "billing.hold_dunning($1, 'one reason', null, $2)", id, world.now);
    await asService(world, "billing.hold_dunning($1, 'another', null, $2)", id, world.now);
    await days(world, 4);
    expect(mails(world, somebody)).toEqual([NOTICE]);
    expect(await asService(world, "billing.release_dunning($1, null, $2)", id, world.now)).toBe(2);
    expect(await asService(world, "billing.release_dunning($1, null, $2)", id, world.now)).toBe(0);
    await world.deliver();
    expect(mails(world, somebody)).toEqual([NOTICE, URGENT]);
    const hands = (await audited(somebody.subscription)).filter((line) => line.startsWith("operator"));
    expect(hands).toEqual([
      "operator dunning.held_by_hand",
      "operator dunning.held_by_hand",
      "operator dunning.released_by_hand",
    ]);
    await close(id, "enough");
  });

  it("hold one whose end is owed already: it is canceled, and carried out when it is released", async () => {
    const somebody = await overdueSubscriber(world);
    const id = await idOf(somebody);
    await days(world, 8);
    // From the warning on: what Stripe could not do it is asked for again within the hour.
    world.local.faults.add({
      match: { method: "DELETE" },
      action: { kind: "error", status: 503 },
      times: 1000,
    });
    const last = async () => (await stepsOf(world, somebody.subscription)).at(-1);
    // Whether the tenth or the eleventh day has the noon at which it leaves depends on the hour of the failure.
    for (let day = 9; day <= 11 && (await last()) !== "end planned"; day++) await days(world, 1);
    expect(await last()).toBe("end planned");
    world.local.faults.clear();
    await asService(world, "billing.hold_dunning($1, 'they called', null, $2)", id, world.now);
    await days(world, 1);
    expect((await stepsOf(world, somebody.subscription)).at(-1)).toBe("end canceled");
    expect(mails(world, somebody)).toEqual([NOTICE, URGENT, FINAL]);
    await asService(world, "billing.release_dunning($1, null, $2)", id, world.now);
    await world.deliver();
    expect((await stepsOf(world, somebody.subscription)).at(-1)).toBe("end done");
    expect(mails(world, somebody)).toEqual([NOTICE, URGENT, FINAL, CANCELED]);
  });

  it("exclude a customer before anything is overdue", async () => {
    const somebody = await newSubscriber(world);
    await asService(
      world,
      "billing.exclude_from_dunning($1, 'pays by hand', null, $2)",
      somebody.customer,
      world.now,
    );
    await world.breakCard(somebody);
    await world.renew(somebody);
    await days(world, 3);
    expect(mails(world, somebody)).toEqual([]);
    expect(await caseOf(world, somebody.subscription)).toMatchObject({ holds: ["excluded_customer"] });
  });
});

describe("the operator gets an alert", () => {
  let closed: number;
  let current: number;
  beforeAll(async () => {
    const somebody = await overdueSubscriber(world);
    closed = await idOf(somebody);
    await close(closed, "a mistake");
    current = Number(await open(somebody.subscription));
  });
  it.each([
    ["that there is no such case", () => close(999_999, "why"), "DU042"],
    [
      "that there is none without a number",
      () => asService(world, "billing.close_dunning(null, 'why')"),
      "DU042",
    ],
    ["that a case was closed already", () => close(closed, "why"), "DU043"],
    [
      "that it cannot be held either",
      () => asService(world, "billing.hold_dunning($1, 'why')", closed),
      "DU043",
    ],
    ["that nothing of it is overdue", () => open("sub_of_nobody"), "DU044"],
    ["that a hold has a reason", () => asService(world, "billing.hold_dunning($1, ' ')", current), "DU045"],
    [
      "that a hold ends in the future",
      () => asService(world, "billing.hold_dunning($1, 'why', $2, $2)", current, world.now),
      "DU045",
    ],
  ])("%s", async (_what, call, code) => {
    await expect(call()).rejects.toMatchObject({ code, hint: expect.stringMatching(/./) });
  });
});

describe("the preview", () => {
  it("says each day what the run then does, and changes nothing", async () => {
    const sentBills = { collection_method: "send_invoice", days_until_due: 33 } as const;
    const [first, held, sent, small, late] = [
      await newSubscriber(world),
      await newSubscriber(world),
      await newSubscriber(world),
      await newSubscriber(world),
      await newSubscriber(world),
    ] as const;
    const people = [first, held, sent, small, late];
    await asService(world, "billing.exclude_from_dunning($1, 'why not', null, $2)", held.customer, world.now);
    await asService(
      world,
      `billing.define_dunning_policy('not-for-little', '[{"day": 0, "kind": "notice"}]', 'leave', p_minimum_amounts => '{"usd": 5000}')`,
    );
    await asService(
      world,
      `billing.define_dunning_policy('later', '[{"day": 4, "kind": "notice"}]', 'leave')`,
    );
    await asService(world, "billing.assign_dunning_policy('customer', $1, 'not-for-little')", small.customer);
    await asService(world, "billing.assign_dunning_policy('customer', $1, 'later')", late.customer);
    // What is sent falls due in the middle of it, and no event tells.
    world.arrives = ({ type }) => type !== "invoice.overdue" && type !== "customer.subscription.updated";
    for (const { customer } of [sent, held, small, late])
      await world.addSubscription(customer, 900, "usd", sentBills);
    await world.arrive();
    await world.breakCard(first);
    await world.breakCard(held);
    await world.renew(first);
    const templates: Record<string, string> = { notice: NOTICE, urgent: URGENT, final: FINAL };
    const told = new Set<string>();
    let predicted: (string | undefined)[] = [];
    let before = people.map((somebody) => mails(world, somebody).length);
    for (let day = 1; day <= 16; day++) {
      await world.passTime(new Date(world.now.getTime() + 12 * 3_600_000));
      await world.deliver();
      await world.passTime(new Date(world.now.getTime() + 12 * 3_600_000));
      await world.deliver();
      // What a run decides on has been done by the next one, an end at noon.
      const news = people.flatMap((somebody, index) => mails(world, somebody).slice(before[index]));
      expect(news.toSorted(), `before day ${day}`).toEqual(predicted.toSorted());
      const rows = await world.database.asService(
        (sql) => sql`select customer, would, held_by from billing.dunning_preview(${world.now})
          where customer = any (${people.map(({ customer }) => customer)})`,
      );
      for (const { would } of rows) told.add(String(would).replace(/sub_\w+/, "sub_"));
      predicted = rows
        .map(({ would }) => String(would))
        .filter((would) => !would.startsWith("wait"))
        .map((would) =>
          would.startsWith("cancel sub_")
            ? CANCELED
            : templates[/payment-failed-(\w+)/.exec(would)?.[1] ?? ""],
        );
      before = people.map((somebody) => mails(world, somebody).length);
      await world.run();
      for (const { customer, held_by } of rows) {
        expect(held_by, `day ${day}`).toEqual(customer === held.customer ? ["excluded_customer"] : []);
      }
    }
    world.arrives = () => true;
    expect([...told].toSorted()).toEqual([
      "cancel sub_",
      "open a case and send payment-failed-notice",
      "send payment-failed-final",
      "send payment-failed-notice",
      "send payment-failed-urgent",
      "wait: excluded_customer",
    ]);
    expect(mails(world, first)).toEqual([NOTICE, URGENT, FINAL, CANCELED]);
    expect(mails(world, sent)).toEqual([NOTICE, URGENT, FINAL, CANCELED]);
    expect(mails(world, late)).toEqual([NOTICE]);
    expect([...mails(world, held), ...mails(world, small)]).toEqual([]);
  });

  it("says what is skipped: a mail that is switched off, a notice where the bank asks the customer", async () => {
    const [first, other] = [await newSubscriber(world), await newSubscriber(world)];
    await world.breakCard(first);
    await world.breakCard(other, "authenticate");
    const { deliver } = world;
    world.deliver = async () => {};
    await world.renew(first);
    world.deliver = deliver;
    const preview = async () => {
      const rows = await world.database.asService(
        (sql) => sql`select would from billing.dunning_preview(${world.now})
          where customer in (${first.customer}, ${other.customer})`,
      );
      return rows.map(({ would }) => would).toSorted();
    };
    expect(await preview()).toEqual([
      "send payment-failed-notice",
      "skip the notice: the bank asks the customer",
    ]);
    await world.database.sql`update billing.settings set emails_off = array[${NOTICE}] where id`;
    const off = "skip payment-failed-notice, which is switched off";
    expect(await preview()).toEqual([off, off]);
    await world.deliver();
    await world.run();
    expect([...mails(world, first), ...mails(world, other)]).toEqual(["payment-action-required"]);
    await world.database.sql`update billing.settings set emails_off = '{}' where id`;
  });
});
