import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { DAY, DunningWorld, HOUR, type Subscriber } from "../../support/dunning-world.ts";
import { FINAL, hours, lastText, mails, NOTICE, overdueSubscriber, pay, URGENT } from "./overdue.ts";

// Mails name the UTC day before the end's day as the last to pay, and the end leaves at 12:00 UTC of its day, when that
// day is over everywhere on earth.

let world: DunningWorld;
beforeEach(async () => {
  world = await DunningWorld.open();
});
afterEach(() => world.close());

const utcDay = (at: Date) => new Intl.DateTimeFormat("en", { dateStyle: "long", timeZone: "UTC" }).format(at);
const status = async ({ subscription }: Subscriber) =>
  (await world.stripe.subscriptions.retrieve(subscription)).status;

/** Goes to an hour (UTC) of a later day, with a daily run in the morning of each day. */
async function to(days: number, hour: number): Promise<void> {
  const midnight = Math.floor(world.now.getTime() / DAY) * DAY;
  for (let day = 1; day <= days; day++) {
    await world.passTime(new Date(midnight + day * DAY + 9 * HOUR));
    await world.run();
  }
  await world.passTime(new Date(midnight + days * DAY + hour * HOUR));
  await world.deliver();
}

interface Banner {
  end_action: string | null;
  ends_at: Date | null;
  last_day_to_pay: Date | null;
}
async function banner({ customer }: Subscriber): Promise<Banner | undefined> {
  const user = await world.database.signUp();
  await world.stripe.customers.update(customer, { metadata: { owner_id: user } });
  await world.arrive();
  const [row] = await world.database.asUser(
    user,
    (sql) => sql<Banner[]>`
      select end_action, ends_at, last_day_to_pay::timestamptz from billing.my_billing_status(${world.now})`,
  );
  return row;
}

describe("where nobody pays", () => {
  it("mails name the last day to pay and the end's day, and at noon UTC of it, and not before, it ends", async () => {
    const somebody = await overdueSubscriber(world);
    const dayZero = Math.floor(world.now.getTime() / DAY) * DAY;
    const [last, end] = [new Date(dayZero + 9 * DAY), new Date(dayZero + 10 * DAY + 12 * HOUR)];
    expect(await lastText(world, somebody.email, NOTICE)).toContain(`please pay by ${utcDay(last)}`);
    // Failed at ten in the morning: the run of nine o'clock takes a step the day after its time.
    await to(4, 10);
    const urgent = await lastText(world, somebody.email, URGENT);
    expect(urgent).toContain(`will end on ${utcDay(end)}`);
    expect(urgent).toContain(`Please pay by ${utcDay(last)}`);
    await to(4, 10);
    const final = await lastText(world, somebody.email, FINAL);
    // Three days after a warning of the eighth day.
    const [told, day] = [new Date(last.getTime() + DAY), new Date(end.getTime() + DAY)];
    expect(final).toContain(`cancel your Plan of 2000 usd a month subscription on ${utcDay(day)}`);
    expect(final).toContain(`please pay by ${utcDay(told)}`);
    expect(await banner(somebody)).toMatchObject({ end_action: "cancel", ends_at: day });
    expect((await banner(somebody))?.last_day_to_pay?.toISOString().slice(0, 10)).toBe(
      told.toISOString().slice(0, 10),
    );

    await to(3, 9);
    const preview = await world.database.asService(
      (sql) => sql`select step, due_at, would from billing.dunning_preview(${world.now})`,
    );
    expect(preview).toEqual([{ step: "end", due_at: day, would: `cancel ${somebody.subscription}` }]);
    await world.passTime(new Date(day.getTime() - 1000));
    await world.deliver();
    expect(await status(somebody)).toBe("past_due");
    await world.passTime(day);
    await world.deliver();
    expect(await status(somebody)).toBe("canceled");
  });

  it("a customer who pays on the last day, in the last time zone in which it is that day, keeps the subscription", async () => {
    const somebody = await overdueSubscriber(world);
    await to(11, 11);
    expect(await status(somebody)).toBe("past_due");
    await pay(world, somebody);
    await hours(world, 2);
    expect(await status(somebody)).toBe("active");
    expect(mails(world, somebody).at(-1)).toBe("payment-recovered");
  });

  it("a warning that leaves late, as when Resend was away, gives three days all the same; one past its date never leaves", async () => {
    const somebody = await overdueSubscriber(world);
    await to(7, 10);
    const away = { resend: { url: "http://127.0.0.1:9" } };
    const start = Math.floor(world.now.getTime() / DAY) * DAY;
    for (let day = 1; day <= 5; day++) {
      await world.passTime(new Date(start + day * DAY + 9 * HOUR));
      await world.run(away);
    }
    expect(mails(world, somebody)).toEqual([NOTICE, URGENT]);
    await to(1, 10);
    await to(1, 10);
    expect(mails(world, somebody)).toEqual([NOTICE, URGENT, FINAL]);
    const left = world.inbox.ledger.mailsWhere({ to: somebody.email }).at(-1)?.at.getTime() ?? 0;
    const text = await lastText(world, somebody.email, FINAL);
    for (let day = 1; day <= 6 && (await status(somebody)) !== "canceled"; day++) await to(1, 13);
    const ended = (await world.stripe.subscriptions.retrieve(somebody.subscription)).ended_at ?? 0;
    expect(ended * 1000 - left).toBeGreaterThanOrEqual(3 * DAY);
    expect(text).toContain(utcDay(new Date(ended * 1000)));
  });
});

it("counts days alike in every session, also where a night is an hour shorter", async () => {
  // In New York clocks go forward on 2026-03-08.
  await world.close();
  world = await DunningWorld.open(new Date("2026-02-03T06:30:00Z"));
  const somebody = await overdueSubscriber(world);
  expect(world.now.toISOString().slice(0, 10)).toBe("2026-03-03");
  await to(4, 10);
  const asked = (zone: string, at: Date) =>
    world.database.sql.begin(async (sql) => {
      await sql`select set_config('TimeZone', ${zone}, true)`;
      return sql`
        select f.due, extract(epoch from f.ends_at) as ends_at, extract(epoch from f.ladder_from) as ladder_from, p.due_at, p.would
        from billing_private.dunning_facts(array[${somebody.customer}], ${at}) as f
        left join billing.dunning_preview(${at}) as p on true`;
    });
  const failedAt = Date.parse("2026-03-03T07:30:00Z");
  for (const hour of [166, 167, 167.5, 168, 168.5, 169, 239, 240, 241, 245]) {
    const at = new Date(failedAt + hour * HOUR);
    const expected = await asked("UTC", at);
    for (const zone of ["America/New_York", "Australia/Lord_Howe"])
      expect(await asked(zone, at), `${zone}, ${hour} hours on`).toEqual(expected);
  }
});
