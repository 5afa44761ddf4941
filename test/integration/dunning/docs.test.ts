import { readFileSync } from "node:fs";
import { afterAll, beforeAll, expect, it } from "vitest";
import { DunningWorld, type Subscriber } from "../../support/dunning-world.ts";
import { caseOf, mails, newSubscriber, stepsOf } from "./overdue.ts";

// The policies of docs/dunning.md, as they stand there but for the ids, given to two subscribers.

const page = readFileSync(new URL("../../../docs/dunning.md", import.meta.url), "utf8");
const examples = [...page.matchAll(/```sql\n([^`]+)```/g)]
  .map((it) => String(it[1]))
  .filter((sql) => sql.includes("assign_dunning_policy"));

let world: DunningWorld;
let invoiced: Subscriber;
let hobby: Subscriber;
const heard: Record<string, Record<number, string[]>> = { invoiced: {}, hobby: {} };

beforeAll(async () => {
  world = await DunningWorld.open();
  invoiced = await newSubscriber(world);
  hobby = await newSubscriber(world, { amount: 700 });
  const small = await newSubscriber(world, { amount: 499 });
  const product = async ({ subscription }: Subscriber) => {
    const { items } = await world.stripe.subscriptions.retrieve(subscription);
    return String(items.data[0]?.price.product);
  };
  expect(examples).toHaveLength(2);
  await world.database.asService(async (sql) => {
    await sql.unsafe(String(examples[0]?.replace("cus_...", invoiced.customer)));
    await sql.unsafe(String(examples[1]?.replace("prod_...", await product(hobby))));
    await sql`select billing.assign_dunning_policy('product', ${await product(small)}, 'hobby')`;
  });
  for (const somebody of [invoiced, hobby, small]) await world.breakCard(somebody);
  await world.renew(hobby);
  for (let day = 0; day <= 27; day++) {
    const before = [mails(world, invoiced).length, mails(world, hobby).length];
    if (day > 0) await world.nextDay();
    const from = day === 0 ? [0, 0] : before;
    for (const [index, [name, somebody]] of [
      ["invoiced", invoiced] as const,
      ["hobby", hobby] as const,
    ].entries()) {
      const news = mails(world, somebody).slice(from[index]);
      if (news.length > 0) heard[name] = { ...heard[name], [day]: news };
    }
  }
  expect(mails(world, small)).toEqual([]);
}, 120_000);
afterAll(() => world.close());

it("customers who are invoiced get more time, and keep their access", async () => {
  expect(heard.invoiced).toEqual({ 5: ["payment-failed-notice"], 14: ["payment-failed-urgent"] });
  expect(await caseOf(world, invoiced.subscription)).toMatchObject({ status: "open" });
});

it("a cheap plan is paused on day 7", async () => {
  expect(heard.hobby).toEqual({
    0: ["payment-failed-notice"],
    4: ["payment-failed-final"],
    7: ["subscription-paused"],
  });
  expect(await stepsOf(world, hobby.subscription)).toEqual(["notice sent", "final_warning sent", "end done"]);
  expect(await world.stripe.subscriptions.retrieve(hobby.subscription)).toMatchObject({
    pause_collection: { behavior: "void" },
  });
});
