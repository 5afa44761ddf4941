import { afterEach, beforeEach, describe, expect, it } from "vitest";
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
  pay,
  stepsOf,
  URGENT,
} from "./overdue.ts";

let world: DunningWorld;
beforeEach(async () => {
  world = await DunningWorld.open();
});
afterEach(() => world.close());

const define = (name: string, steps: [number, string][], more = "") =>
  asService(
    world,
    `billing.define_dunning_policy($1, $2::jsonb ${more})`,
    name,
    steps.map(([day, kind]) => ({ day, kind })),
  );

it("a case keeps the version of its policy; the next one gets the new", async () => {
  const early = await newSubscriber(world);
  await world.breakCard(early);
  await world.renew(early);
  await define("default", [
    [0, "notice"],
    [1, "final_warning"],
    [4, "end"],
  ]);
  await days(world, 3);
  expect(mails(world, early)).toEqual([NOTICE, URGENT]);
  const late = await overdueSubscriber(world);
  await days(world, 5);
  expect(mails(world, late)).toEqual([NOTICE, FINAL, CANCELED]);
  const versions = await world.database.sql`
    select p.version from billing.dunning_cases as c join billing.dunning_policies as p on p.id = c.policy_id order by c.id`;
  expect(versions.map(({ version }) => version)).toEqual([1, 2]);
});

it("a customer's own ladder goes its own way", async () => {
  await define(
    "patient",
    [
      [2, "notice"],
      [5, "urgent_reminder"],
    ],
    ", 'leave'",
  );
  const [patient, other] = [await newSubscriber(world), await newSubscriber(world)];
  await asService(world, "billing.assign_dunning_policy('customer', $1, 'patient')", patient.customer);
  for (const somebody of [patient, other]) await world.breakCard(somebody);
  await world.renew(other);
  const heard: Record<string, number[]> = { patient: [], other: [] };
  for (let day = 0; day <= 11; day++) {
    if (day > 0) await world.nextDay();
    heard.patient?.push(mails(world, patient).length);
    heard.other?.push(mails(world, other).length);
  }
  expect(heard.patient).toEqual([0, 0, 1, 1, 1, 2, 2, 2, 2, 2, 2, 2]);
  expect(heard.other).toEqual([1, 1, 1, 2, 2, 2, 2, 3, 3, 3, 4, 4]);
  expect(await caseOf(world, patient.subscription)).toMatchObject({ status: "open" });
});

describe("an email that is switched off", () => {
  const off = (...names: string[]) =>
    world.database.sql`update billing.settings set emails_off = ${names} where id`;

  it("is skipped, and the ladder goes on", async () => {
    await off(NOTICE, URGENT);
    const somebody = await overdueSubscriber(world);
    await days(world, 10);
    expect(mails(world, somebody)).toEqual([FINAL, CANCELED]);
    expect(await stepsOf(world, somebody.subscription)).toEqual([
      "notice switched_off",
      "urgent_reminder switched_off",
      "final_warning sent",
      "end done",
    ]);
  });

  it("is no failure mail: no recovery mail is sent", async () => {
    await off(NOTICE);
    const somebody = await overdueSubscriber(world);
    await days(world, 1);
    await pay(world, somebody);
    expect(mails(world, somebody)).toEqual([]);
  });

  it("makes no end, where it is the final warning", async () => {
    await off(FINAL);
    const somebody = await overdueSubscriber(world);
    await days(world, 14);
    expect(mails(world, somebody)).toEqual([NOTICE, URGENT]);
    expect(await caseOf(world, somebody.subscription)).toMatchObject({ status: "open" });
  });
});

describe("a payment that waits for the customer's confirmation (3-D Secure) is asked for instead of announced as failed", () => {
  /** A renewal whose two events arrive in the order given, before anything is sent. */
  async function renewal(order: string[]): Promise<Subscriber> {
    const somebody = await newSubscriber(world);
    await world.breakCard(somebody, "authenticate");
    const { deliver } = world;
    world.deliver = async () => {};
    world.arrives = ({ type }) => !order.includes(type);
    await world.renew(somebody);
    world.deliver = deliver;
    world.arrives = () => true;
    expect(world.late.map(({ type }) => type).toSorted()).toEqual(order.toSorted());
    await world.arriveLate(
      world.late.splice(0).toSorted((one, other) => order.indexOf(one.type) - order.indexOf(other.type)),
    );
    await world.deliver();
    return somebody;
  }

  it.each([
    { order: ["invoice.payment_failed", "invoice.payment_action_required"] },
    { order: ["invoice.payment_action_required", "invoice.payment_failed"] },
  ])("whichever event comes first: $order.0", async ({ order }) => {
    const somebody = await renewal(order);
    expect(mails(world, somebody)).toEqual(["payment-action-required"]);
    expect(await stepsOf(world, somebody.subscription)).toEqual(["notice skipped"]);
    await days(world, 3);
    expect(mails(world, somebody).filter((template) => template !== "payment-action-required")).toEqual([
      URGENT,
    ]);
  });
});
