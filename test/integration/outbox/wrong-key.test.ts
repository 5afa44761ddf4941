import { afterEach, describe, expect, it } from "vitest";
import { DunningWorld } from "../../support/dunning-world.ts";

const open: DunningWorld[] = [];
afterEach(async () => {
  for (const world of open.splice(0)) await world.close();
});

async function worlds(count: number): Promise<DunningWorld[]> {
  for (let n = 0; n < count; n++) open.push(await DunningWorld.open());
  return open;
}

async function enqueueRead(world: DunningWorld, object: string, id: unknown) {
  const { sql } = world.database;
  await sql`
    select billing_private.enqueue('refresh', ${`read:${id}:${world.now.getTime()}`}, ${sql.json({ object, id } as never)}, ${world.now})
  `;
}
function reads(world: DunningWorld) {
  return world.database.sql`
    select payload ->> 'object' as object, status, attempts - excused_attempts as tries, last_error ->> 'code' as problem
    from billing.outbox where kind = 'refresh' order by id
  `;
}
async function alerts(world: DunningWorld, cause: string) {
  return world.database.sql`
    select payload from billing.outbox where kind = 'alert' and payload ->> 'cause' = ${cause}
  `;
}
/** Ids of what was deleted, by table. */
async function deleted(world: DunningWorld) {
  const rows = await world.database.sql<{ id: string }[]>`
    select id from billing.products where deleted_at is not null
    union all select id from billing.prices where deleted_at is not null
    union all select id from billing.invoices where deleted_at is not null
    union all select id from billing.customers where deleted_at is not null
  `;
  return rows.map(({ id }) => id);
}
function later(world: DunningWorld, minutes: number) {
  world.now = new Date(world.now.getTime() + minutes * 60_000);
}

describe("with a key of another account", () => {
  it("nothing is deleted, read or done; the operator gets an alert, and the right key goes on where it stopped", async () => {
    const [world, other] = (await worlds(2)) as [DunningWorld, DunningWorld];
    const who = await world.subscribe();
    await world.arrive();
    await world.breakCard(who);
    await world.renew(who);
    const { sql } = world.database;
    const [invoice] = await sql`select id from billing.invoices where status = 'open'`;
    const [product] = await sql`select id from billing.products`;
    await enqueueRead(world, "invoice", invoice?.id);
    await enqueueRead(world, "product", product?.id);
    await sql`
      select billing_private.enqueue('stripe', 'cancel:wrong', ${sql.json({ call: "cancel_subscription", id: who.subscription })}, ${world.now})
    `;

    await world.deliver({ stripe: other.parts.stripe });
    expect(await deleted(world)).toEqual([]);
    expect((await reads(world))[0]).toMatchObject({ status: "pending", tries: 0, problem: "wrong_account" });
    // One question, and then it is left alone.
    expect(other.local.ledger.requests.map(({ method, path }) => `${method} ${path}`)).toEqual([
      `GET /v1/subscriptions/${who.subscription}`,
    ]);
    const [told] = await alerts(world, "wrong_stripe_key");
    expect(told?.payload.error).toContain(who.subscription);

    later(world, 6);
    await world.deliver();
    expect((await reads(world)).map(({ status }) => status)).toEqual(["delivered", "delivered"]);
    expect((await world.stripe.subscriptions.retrieve(who.subscription)).status).toBe("canceled");
    expect(await deleted(world)).toEqual([]);
  });

  it("what it finds under the same id there is not shown here", async () => {
    const [world, other] = (await worlds(2)) as [DunningWorld, DunningWorld];
    await world.subscribe();
    await world.stripe.products.create({ id: "pro", name: "Ours" });
    await other.stripe.products.create({ id: "pro", name: "Theirs" });
    await world.arrive();
    await enqueueRead(world, "product", "pro");
    await world.deliver({ stripe: other.parts.stripe });
    expect(await world.database.sql`select name from billing.products where id = 'pro'`).toEqual([
      { name: "Ours" },
    ]);
  });

  it("a customer alone shows it, and no other object that was read with the key itself does", async () => {
    const [world, other] = (await worlds(2)) as [DunningWorld, DunningWorld];
    const product = await world.stripe.products.create({ name: "Pro" });
    await world.stripe.customers.create({ email: "ada@example.com" });
    await world.arrive();
    await enqueueRead(world, "product", product.id);
    await world.deliver({ stripe: other.parts.stripe });
    expect(await reads(world)).toMatchObject([{ status: "pending", problem: "wrong_account" }]);

    // What the other account's key has read is no witness for that key.
    const stranger = await other.subscribe();
    const read = await other.stripe.subscriptions.retrieve(stranger.subscription);
    await world.database.asService(
      (sql) => sql`select billing.apply_refresh(${sql.json(read as never)}, ${world.now}, ${world.now})`,
    );
    later(world, 10);
    await world.deliver({ stripe: other.parts.stripe });
    expect(await deleted(world)).toEqual([]);
    const [still, ...unseen] = await reads(world);
    expect(still).toMatchObject({ object: "product", status: "pending", problem: "wrong_account" });
    // What that subscription names and nobody has seen waits, too.
    expect(new Set(unseen.map(({ status, tries }) => `${status} ${tries}`))).toEqual(new Set(["pending 0"]));
  });

  it("of the other mode is recognized by its prefix, before any request", async () => {
    const [world] = (await worlds(1)) as [DunningWorld];
    await world.subscribe();
    await world.arrive();
    await world.database.sql`update billing.settings set livemode = true where true`;
    await enqueueRead(world, "customer", "cus_any");
    const asked = world.local.ledger.requests.length;
    await world.deliver();
    expect(world.local.ledger.requests).toHaveLength(asked);
    expect(await reads(world)).toMatchObject([{ status: "pending", tries: 0, problem: "wrong_mode" }]);
    expect(await alerts(world, "wrong_stripe_key")).toHaveLength(1);
  });
});

describe("what Stripe does not have", () => {
  it("is deleted where the right key says so: a product, and an invoice that was a draft", async () => {
    const [world] = (await worlds(1)) as [DunningWorld];
    const { customer } = await world.subscribe();
    const product = await world.stripe.products.create({ name: "Old" });
    const draft = await world.stripe.invoices.create({ customer, auto_advance: false });
    await world.arrive();
    world.arrives = () => false;
    await world.stripe.products.del(product.id);
    await world.stripe.invoices.del(draft.id ?? "");
    later(world, 5);
    await enqueueRead(world, "product", product.id);
    await enqueueRead(world, "invoice", draft.id);
    await world.deliver();
    expect((await reads(world)).map(({ status }) => status)).toEqual(["delivered", "delivered"]);
    expect(await deleted(world)).toEqual([product.id, draft.id]);
    // The events that tell of it come late, and make the tombstones final.
    await world.arriveLate();
    expect(await deleted(world)).toEqual([product.id, draft.id]);
  });

  it("is not deleted where it cannot be: a finalized invoice", async () => {
    const [world] = (await worlds(1)) as [DunningWorld];
    const who = await world.subscribe();
    await world.arrive();
    await world.breakCard(who);
    await world.renew(who);
    const [invoice] = await world.database.sql`select id from billing.invoices where status = 'open'`;
    world.local.faults.add({
      match: { path: `/v1/invoices/${invoice?.id}` },
      action: { kind: "error", status: 404, code: "resource_missing" },
    });
    await enqueueRead(world, "invoice", invoice?.id);
    await world.deliver();
    expect((await reads(world)).at(-1)).toMatchObject({ status: "dead", problem: "read_is_not_ours" });
    expect(await deleted(world)).toEqual([]);
  });

  it("is not deleted by a restricted key that may not show whose it is, and that key reads and calls as before", async () => {
    const [world] = (await worlds(1)) as [DunningWorld];
    const { subscription, customer } = await world.subscribe();
    const product = await world.stripe.products.create({ name: "Old" });
    await world.arrive();
    world.arrives = () => false;
    await world.stripe.products.del(product.id);
    const refusal = { kind: "error", status: 403, code: "more_permissions_required" } as const;
    world.local.faults.add({ match: { path: `/v1/subscriptions/${subscription}` }, action: refusal });
    later(world, 5);
    await enqueueRead(world, "product", product.id);
    await enqueueRead(world, "customer", customer);
    await world.deliver();
    expect(await reads(world)).toMatchObject([
      { object: "product", status: "pending", problem: "unproven_account" },
      { object: "customer", status: "delivered" },
    ]);
    expect(await deleted(world)).toEqual([]);
  });
});

it("what a read found deleted comes back with a newer event, and stays deleted after an older one, in any order", async () => {
  const [world] = (await worlds(1)) as [DunningWorld];
  const { database } = world;
  const second = (n: number) => Math.floor(world.now.getTime() / 1000) + n;
  const product = (id: string, name: string) => ({
    id,
    object: "product",
    name,
    active: true,
    livemode: false,
    created: second(0),
    metadata: {},
  });
  const event = (id: string, at: number) => () =>
    database.receive({
      id: `evt_${id}_${at}`,
      object: "event",
      type: "product.updated",
      created: second(at),
      livemode: false,
      data: { object: product(id, `at ${at}`) },
    });
  const missing = (id: string, at: number) => () =>
    database.asService(
      (sql) =>
        sql`select billing.apply_refresh(${sql.json({ id, object: "product", deleted: true })}, ${new Date(second(at) * 1000)})`,
    );
  const shown = async (id: string) =>
    (
      await database.sql`
        select name, active, extract(epoch from deleted_at)::int as deleted from billing.products where id = ${id}
      `
    )[0];

  const orders = [
    [0, 1, 2],
    [0, 2, 1],
    [1, 0, 2],
    [1, 2, 0],
    [2, 0, 1],
    [2, 1, 0],
  ];
  for (const [n, order] of orders.entries()) {
    const back = [event(`back${n}`, 10), missing(`back${n}`, 20), event(`back${n}`, 30)];
    const gone = [event(`gone${n}`, 10), missing(`gone${n}`, 30), event(`gone${n}`, 20)];
    for (const step of order) {
      await back[step]?.();
      await gone[step]?.();
    }
    expect(await shown(`back${n}`)).toEqual({ name: "at 30", active: true, deleted: null });
    expect(await shown(`gone${n}`)).toEqual({ name: "at 20", active: false, deleted: second(30) });
  }
});
