import { randomUUID } from "node:crypto";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { createTestDatabase, type TestDatabase } from "../../support/database.ts";
import { newName, told } from "../../support/orders.ts";
import { SEED } from "../../support/seed.ts";
import { Random } from "../../support/simulation/random.ts";
import { checkoutSession, customer } from "../../support/stripe/customers.ts";
import { catalogue, havings, letTeamsPay, link, NOW, newTeam, ownerOf, subscribed } from "./teams.ts";

let database: TestDatabase;
beforeAll(async () => {
  database = await createTestDatabase();
  for (const event of catalogue()) await database.receive(event);
});
afterAll(() => database.drop());

const receive = async (events: object[], where = database) => {
  for (const event of events) expect(await where.receive(event)).toBe("processed");
};
const outcomes = async (links: unknown, where = database) =>
  (await link(where, links)).map(({ outcome, reason }) => [outcome, reason]);
const auditOf = async (id: string) =>
  await database.sql`
    select action, actor, detail from billing.audit_events
    where customer_id = ${id} and action in ('customer.owner_named', 'customer.linked', 'customer.unlinked', 'customer.owner_unknown')
    order by id`;

describe("what an operator says about whose a customer is", () => {
  it("counts for more than metadata and checkouts, also those that come later, until it is taken back", async () => {
    const [said, named, later] = [await database.signUp(), await database.signUp(), await database.signUp()];
    const [name, id] = ["Operator1", "cus_Operator1"];
    await receive(subscribed(name, named));
    expect(await ownerOf(database, id)).toBe(named);
    expect(await outcomes([{ customer: id, owner_id: said }])).toEqual([["linked", null]]);
    expect(await ownerOf(database, id)).toBe(said);
    await receive([
      told("customer.updated", NOW + 60, customer({ id, created: NOW, metadata: { owner_id: later } })),
      told(
        "checkout.session.completed",
        NOW + 61,
        checkoutSession({
          id: "cs_test_Operator1",
          created: NOW,
          customer: id,
          metadata: { owner_id: later },
        }),
      ),
    ]);
    expect(await ownerOf(database, id)).toBe(said);
    expect(await outcomes([{ customer: id, owner_id: null }])).toEqual([["taken_back", null]]);
    expect(await ownerOf(database, id)).toBe(later);
    expect(await outcomes([{ customer: id, owner_id: null }])).toEqual([["unchanged", null]]);
    expect(await auditOf(id)).toEqual([
      { action: "customer.linked", actor: "system", detail: { owner_id: named } },
      {
        action: "customer.owner_named",
        actor: "operator",
        detail: { owner_id: said, earlier_owner_id: null },
      },
      { action: "customer.linked", actor: "operator", detail: { owner_id: said } },
      {
        action: "customer.owner_named",
        actor: "operator",
        detail: { owner_id: null, earlier_owner_id: said },
      },
      { action: "customer.linked", actor: "operator", detail: { owner_id: later } },
    ]);
  });

  it("takes entitlements, usage and credits along", async () => {
    const [first, second] = [await database.signUp(), await database.signUp()];
    await receive(subscribed("Operator2", first));
    await receive([
      told("checkout.session.completed", NOW, {
        ...checkoutSession({ id: "cs_test_Operator2", created: NOW, customer: "cus_Operator2" }),
        mode: "payment",
        payment_status: "no_payment_required",
        metadata: { credit_kind: "images", credits: "7" },
      }),
    ]);
    const now = new Date((NOW + 60) * 1000);
    await database.asService(
      (sql) => sql`select billing.record_usage(${first}, 'api_calls', 3, 'once', ${now})`,
    );
    const had = { features: ["export"], usage: 3, credits: 7, customers: ["cus_Operator2"] };
    expect(await havings(database, first)).toEqual(had);
    await link(database, [{ customer: "cus_Operator2", owner_id: second }]);
    expect(await havings(database, second)).toEqual(had);
    expect(await havings(database, first)).toEqual({ features: [], usage: 0, credits: 0, customers: [] });
  });

  it("is kept for a customer that nobody knows, and for a user who is not there, until they come", async () => {
    const user = await database.signUp();
    const late = randomUUID();
    const links = [
      { customer: "cus_Operator3", owner_id: user },
      { customer: "cus_Operator4", owner_id: late },
    ];
    await receive(subscribed("Operator4"));
    const kept = [
      ["kept", "the customer is not known yet"],
      ["kept", "there is no such owner yet"],
    ];
    expect(await outcomes(links)).toEqual(kept);
    expect(await outcomes(links)).toEqual(kept);
    expect(await ownerOf(database, "cus_Operator3")).toBeUndefined();
    expect((await auditOf("cus_Operator4")).map(({ action }) => action)).toEqual([
      "customer.owner_named",
      "customer.owner_unknown",
    ]);
    await receive(subscribed("Operator3"));
    await database.signUp({ id: late });
    expect(await ownerOf(database, "cus_Operator3")).toBe(user);
    expect(await ownerOf(database, "cus_Operator4")).toBe(late);
    expect(await outcomes(links)).toEqual([
      ["unchanged", null],
      ["unchanged", null],
    ]);
    expect((await havings(database, user)).features).toEqual(["export"]);
  });

  it("is refused with the reason where it cannot be read, and the others are followed", async () => {
    const user = await database.signUp();
    await receive(subscribed("Operator5"));
    expect(
      await link(database, [
        "cus_Operator5",
        { owner_id: user },
        { customer: "sub_1", owner_id: user },
        { customer: "cus_Operator6" },
        { customer: "cus_Operator6", owner_id: "team-42" },
        { customer: "cus_Operator7", owner_id: user },
        { customer: "cus_Operator7", owner_id: null },
        { customer: "cus_Operator5", owner_id: user.toUpperCase() },
        { customer: "cus_Operator5", owner_id: user },
      ]),
    ).toEqual(
      [
        [null, null, "refused", "not an object with customer and owner_id"],
        [null, user, "refused", "customer is not the id of a Stripe customer (cus_…)"],
        ["sub_1", user, "refused", "customer is not the id of a Stripe customer (cus_…)"],
        ["cus_Operator6", null, "refused", "owner_id is missing; null takes an earlier word back"],
        ["cus_Operator6", null, "refused", "owner_id is not a uuid"],
        ["cus_Operator7", user, "refused", "the customer is named with several owners"],
        ["cus_Operator7", null, "refused", "the customer is named with several owners"],
        ["cus_Operator5", user, "linked", null],
        ["cus_Operator5", user, "unchanged", null],
      ].map(([customerId, owner_id, outcome, reason], index) => ({
        link: index + 1,
        customer: customerId,
        owner_id,
        outcome,
        reason,
      })),
    );
    expect(await ownerOf(database, "cus_Operator5")).toBe(user);
  });

  it("comes in batches of at most 500, as an array", async () => {
    const many = (count: number) =>
      Array.from({ length: count }, (_, index) => ({ customer: `cus_Batch${index}`, owner_id: null }));
    await expect(link(database, many(501))).rejects.toMatchObject({ code: "DU019" });
    await expect(link(database, { customer: "cus_1", owner_id: null })).rejects.toMatchObject({
      code: "DU019",
    });
    await expect(link(database, null)).rejects.toMatchObject({ code: "DU019" });
    expect(await link(database, many(500))).toHaveLength(500);
    expect(await link(database, [])).toEqual([]);
  });

  it("leads to the same in whatever order links and events come", async () => {
    const random = new Random(SEED);
    console.log(`operator links: DUEBASE_SEED=${SEED}`);
    const teams = await createTestDatabase();
    try {
      await letTeamsPay(teams);
      await receive(catalogue(), teams);
      const ends = new Set<string>();
      const [stated, named] = [newTeam(), newTeam()];
      for (let order = 0; order < 30; order++) {
        const name = newName();
        const id = `cus_${name}`;
        const steps: (() => Promise<unknown>)[] = [
          ...subscribed(name, named).map((event) => () => teams.receive(event)),
          () => link(teams, [{ customer: id, owner_id: stated }]),
          () =>
            teams.receive(
              told(
                "checkout.session.completed",
                NOW + 5,
                checkoutSession({
                  id: `cs_test_${name}`,
                  created: NOW,
                  customer: id,
                  metadata: { owner_id: named },
                }),
              ),
            ),
          () => link(teams, [{ customer: id, owner_id: stated }]),
        ];
        for (const step of random.shuffled(steps)) await step();
        const [row] = await teams.sql`
          select
            c.owner_id,
            (select array_agg(u.owner_id::text) from billing.subscription_usage as u where u.subscription = ${`sub_${name}`}) as usage,
            (select array_agg(e.owner_id::text) from billing.entitlements as e where ${`sub_${name}`} = any (e.sources)) as entitled
          from billing.customers as c
          where c.id = ${id}`;
        ends.add(JSON.stringify(row));
      }
      expect([...ends]).toEqual([JSON.stringify({ owner_id: stated, usage: [stated], entitled: [stated] })]);
    } finally {
      await teams.drop();
    }
  });
});
