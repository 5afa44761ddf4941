import { afterAll, beforeAll, expect, it } from "vitest";
import { createTestDatabase, type TestDatabase } from "../../support/database.ts";
import { newName, told } from "../../support/orders.ts";
import { SEED } from "../../support/seed.ts";
import { Random } from "../../support/simulation/random.ts";
import { checkoutSession, customer } from "../../support/stripe/customers.ts";
import type { StripeEvent } from "../../support/stripe/events.ts";
import { charge, paymentIntent } from "../../support/stripe/payments.ts";
import { NOW, PRICE } from "./bought.ts";

// Whole histories of one customer: purchases, refunds, links to one user and then another, in random orders and with
// repetitions, alone and with deductions in between. DUEBASE_SEED replays a run.

const COUNT = 40;

let database: TestDatabase;
let users: string[];
beforeAll(async () => {
  console.log(`credits: DUEBASE_SEED=${SEED}`);
  database = await createTestDatabase();
});
afterAll(() => database.drop());

interface History {
  events: StripeEvent[];
  /** What each user must have in the end if nothing is spent. */
  truth: Map<string, number>;
}

/** Some purchases, what was refunded of them, and whom the customer was said to be, last word last. */
function makeHistory(random: Random): History {
  const owners = Array.from({ length: random.int(0, 3) }, () => random.pick(users));
  const events = owners.map((user, index) =>
    told(
      index === 0 ? "customer.created" : "customer.updated",
      NOW + index * 10,
      customer({ id: "cus_ExampleHis", created: NOW, metadata: { owner_id: user } }),
    ),
  );
  let due = 0;
  for (let number = random.int(1, 4); number > 0; number--) {
    const credits = random.int(1, 999);
    const metadata = { credit_kind: "images", credits: String(credits) };
    const saysSo = random.pick(["session", "payment", "both"] as const);
    const intent = {
      id: `pi_ExampleHis${number}`,
      created: NOW,
      amount: PRICE,
      customer: "cus_ExampleHis",
      metadata: saysSo === "session" ? {} : metadata,
    };
    const isPaid = random.chance(0.85);
    events.push(told("payment_intent.created", NOW, paymentIntent(intent)));
    if (isPaid)
      events.push(
        told(
          "payment_intent.succeeded",
          NOW + 5,
          paymentIntent({ ...intent, amount_received: PRICE, status: "succeeded" }),
        ),
      );
    if (saysSo !== "payment")
      events.push(
        told(
          "checkout.session.completed",
          NOW + 6,
          checkoutSession({
            id: `cs_test_ExampleHis${number}`,
            created: NOW,
            mode: "payment",
            customer: "cus_ExampleHis",
            payment_intent: intent.id,
            payment_status: isPaid ? "paid" : "unpaid",
            metadata,
          }),
        ),
      );
    let refunded = 0;
    for (let times = isPaid ? random.int(0, 3) : 0; times > 0; times--) {
      refunded = random.int(refunded, PRICE);
      events.push(
        told(
          "charge.refunded",
          NOW + 100 - times,
          charge({
            id: `ch_ExampleHis${number}`,
            created: NOW,
            amount: PRICE,
            amount_refunded: refunded,
            customer: "cus_ExampleHis",
            payment_intent: intent.id,
          }),
        ),
      );
    }
    if (isPaid) due += credits - Math.floor((credits * refunded) / PRICE);
  }
  const owner = owners.at(-1);
  return { events, truth: new Map(owner && due > 0 ? [[owner, due]] : []) };
}

async function deliver(
  events: StripeEvent[],
  between: () => Promise<void> = async () => {},
): Promise<string> {
  const name = newName();
  for (const event of events) {
    expect(
      await database.receive(JSON.parse(JSON.stringify(event).replaceAll("_Example", `_${name}`))),
    ).toMatch(/processed|duplicate/);
    await between();
  }
  return name;
}

const shuffled = (random: Random, events: StripeEvent[]) =>
  random.shuffled([...events, ...events.filter(() => random.chance(0.3))]);

async function standingOf(name: string): Promise<Map<string, number>> {
  const rows = await database.sql<{ user: string; credits: number }[]>`
    select owner_id as user, sum(credits)::float8 as credits from billing.credit_entries
    where purchase like ${`%\\_${name}%`} group by 1 having sum(credits) <> 0
  `;
  return new Map(rows.map(({ user, credits }) => [user, credits]));
}

it(`${COUNT} histories come to what was paid and kept, in order and in any other`, async () => {
  const random = new Random(SEED);
  users = [await database.signUp(), await database.signUp()];
  for (let number = 0; number < COUNT; number++) {
    const { events, truth } = makeHistory(random);
    for (const order of [events, shuffled(random, events), shuffled(random, events)])
      expect(await standingOf(await deliver(order)), `seed ${SEED}, history ${number}`).toEqual(truth);
  }
}, 120_000);

it("with deductions in between, no balance is ever negative and none but the missing is unaccounted for", async () => {
  const random = new Random(SEED + 1);
  for (let number = 0; number < COUNT / 2; number++) {
    users = [await database.signUp(), await database.signUp()];
    const { events } = makeHistory(random);
    let spent = 0;
    const spend = async () => {
      const user = random.pick(users);
      const [row] = await database.sql`select billing.credit_balance(${user}, 'images')::int as balance`;
      const amount = Math.min(row?.balance ?? 0, random.int(0, 300));
      if (amount === 0) return;
      await database.sql`select billing.deduct_credits(${user}, 'images', ${amount}, ${`s${random.token(12)}`})`;
      spent += amount;
    };
    const name = await deliver(shuffled(random, events), spend);
    const [sums] = await database.sql`
      select
        coalesce(sum(credits), 0)::int as credits,
        coalesce(min(balance_after), 0)::int as lowest,
        coalesce(-sum(credits) filter (where reason = 'deduction'), 0)::int as spent,
        (select coalesce(sum(b.credits), 0)::int from billing_private.credit_balances as b where b.owner_id = any (${users})) as balances,
        (
          select count(*)::int from billing_private.credit_purchases as p
          where p.id like ${`%\\_${name}%`} and p.standing <> (
            select coalesce(sum(e.credits - case e.reason when 'transfer' then e.missing else 0 end), 0)
            from billing.credit_entries as e where e.purchase = p.id
          ) and p.holder is not null
        ) as strays
      from billing.credit_entries where owner_id = any (${users})
    `;
    expect(sums, `seed ${SEED}, history ${number}`).toMatchObject({
      credits: sums?.balances,
      spent,
      strays: 0,
    });
    expect(sums?.lowest).toBeGreaterThanOrEqual(0);
  }
}, 120_000);
