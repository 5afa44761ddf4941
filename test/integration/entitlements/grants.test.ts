import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { createTestDatabase, type TestDatabase } from "../../support/database.ts";
import { featuresOf, MONTH, START, Story, tell, versionOf } from "./story.ts";

let database: TestDatabase;
let story: Story;
let user: string;
beforeAll(async () => {
  database = await createTestDatabase();
});
beforeEach(async () => {
  story = new Story();
  user = await database.signUp();
});
afterAll(() => database.drop());

const features = () => featuresOf(database, user);
const version = () => versionOf(database, user);

async function rows() {
  return await database.sql`
    select feature, sources, extract(epoch from valid_until)::int as until
    from billing.entitlements where owner_id = ${user} order by feature
  `;
}

/** What is on record of the user's entitlements, oldest first. */
async function audited(): Promise<string[]> {
  const facts = await database.sql<{ fact: string }[]>`
    select concat(action, ' ', detail ->> 'feature') as fact
    from billing.audit_events where subject_id = ${user} order by id
  `;
  return facts.map(({ fact }) => fact);
}

describe("a subscription", () => {
  it.each([
    ["active", true],
    ["trialing", true],
    ["past_due", true],
    ["incomplete", false],
    ["incomplete_expired", false],
    ["unpaid", false],
    ["paused", false],
    ["canceled", false],
    ["a status Stripe adds one day", false],
  ])("that is %s: its features are granted: %s", async (status, granted) => {
    await tell(database, story.product("export"), story.customer(user), story.subscription({ status }));
    expect(await features()).toEqual(granted ? ["export"] : []);
  });

  it("grants what its products and prices name, each once, until its items' period ends", async () => {
    await tell(
      database,
      story.product(" export, api ,,api", "a"),
      story.product("seats", "b"),
      story.price("export, priority_support", "b"),
      story.customer(user),
      story.subscription({}, ["a", "b"]),
    );
    const row = (feature: string) => ({ feature, sources: [story.id("sub")], until: START + MONTH });
    expect(await rows()).toEqual([row("api"), row("export"), row("priority_support"), row("seats")]);
  });

  it("that is leaving grants until it is gone, and says when that will be", async () => {
    const end = START + 1000;
    await tell(
      database,
      story.product("export"),
      story.customer(user),
      story.subscription({ cancel_at: end, cancel_at_period_end: true }),
    );
    expect(await rows()).toEqual([{ feature: "export", sources: [story.id("sub")], until: end }]);
    await tell(database, story.subscription({ status: "canceled" }));
    expect(await features()).toEqual([]);
    expect(await audited()).toEqual(["entitlement.granted export", "entitlement.revoked export"]);
  });

  it("that changes plan grants the new plan's features and no others, on record once each", async () => {
    await tell(
      database,
      story.product("export, api", "a"),
      story.product("export, sso", "b"),
      story.customer(user),
      story.subscription({}, ["a"]),
      story.subscription({}, ["b"]),
    );
    expect(await features()).toEqual(["export", "sso"]);
    expect(await audited()).toEqual([
      "entitlement.granted api",
      "entitlement.granted export",
      "entitlement.revoked api",
      "entitlement.granted sso",
    ]);
  });

  it("told again, or telling nothing new, writes nothing: the version stays", async () => {
    const subscription = story.subscription();
    await tell(database, story.product("export"), story.customer(user), subscription);
    expect(await version()).toBe(1);
    await tell(database, subscription, story.customer(user), story.product("export"), story.subscription());
    expect(await version()).toBe(1);
    const [row] = await database.sql`
      select xmin::text = (select xmin::text from billing.entitlement_versions where owner_id = ${user}) as untouched
      from billing.entitlements where owner_id = ${user}
    `;
    expect(row).toEqual({ untouched: true });
  });

  it("that renews moves the end of what is paid for, and with it the version", async () => {
    await tell(database, story.product("export"), story.customer(user), story.subscription());
    const renewed = story.subscription();
    const items = (renewed.data.object.items as { data: { current_period_end: number }[] }).data;
    for (const item of items) item.current_period_end += MONTH;
    await tell(database, renewed);
    expect(await rows()).toMatchObject([{ until: START + 2 * MONTH }]);
    expect(await version()).toBe(2);
    expect(await audited()).toEqual(["entitlement.granted export"]);
  });
});

describe("Stripe's own entitlements", () => {
  it("are granted by lookup key, and taken when the list no longer has them", async () => {
    await tell(database, story.customer(user), story.summary(["sso", "export"]));
    const row = (feature: string) => ({ feature, sources: [story.id("cus")], until: null });
    expect(await rows()).toEqual([row("export"), row("sso")]);
    await tell(database, story.summary(["export"]), story.summary([]));
    expect(await features()).toEqual([]);
  });

  it("and metadata may grant the same feature: it goes when neither does", async () => {
    await tell(
      database,
      story.product("export"),
      story.customer(user),
      story.subscription(),
      story.summary(["export"]),
    );
    expect(await rows()).toEqual([
      { feature: "export", sources: [story.id("cus"), story.id("sub")], until: null },
    ]);
    await tell(database, story.subscription({ status: "canceled" }));
    expect(await features()).toEqual(["export"]);
    await tell(database, story.summary([]));
    expect(await features()).toEqual([]);
  });

  it("of a deleted customer are gone with it, as is everything else it brought", async () => {
    await tell(
      database,
      story.product("api"),
      story.customer(user),
      story.subscription(),
      story.summary(["export"]),
    );
    expect(await features()).toEqual(["api", "export"]);
    await tell(
      database,
      story.event("customer.deleted", { id: story.id("cus"), object: "customer", deleted: true }),
    );
    expect(await features()).toEqual([]);
  });
});

describe("whose they are", () => {
  it("one user who is several customers has what each of them brings", async () => {
    await tell(
      database,
      story.product("export", "a"),
      story.product("export, sso", "b"),
      story.customer(user, "1"),
      story.customer(user, "2"),
      story.subscription({}, ["a"], "1"),
      story.subscription({}, ["b"], "2"),
    );
    expect((await rows()).map(({ sources }) => sources)).toEqual([
      [story.id("sub", "1"), story.id("sub", "2")],
      [story.id("sub", "2")],
    ]);
    await tell(database, story.subscription({ status: "canceled" }, ["b"], "2"));
    expect(await features()).toEqual(["export"]);
  });

  it("a customer that is handed to another user takes them along", async () => {
    const other = await database.signUp();
    await tell(database, story.product("export"), story.customer(user), story.subscription());
    await tell(database, story.customer(other));
    expect(await features()).toEqual([]);
    expect(await featuresOf(database, other)).toEqual(["export"]);
    expect([await version(), await versionOf(database, other)]).toEqual([2, 1]);
  });

  it("a user who signs up after paying has them at once", async () => {
    const late = crypto.randomUUID();
    await tell(database, story.product("export"), story.customer(late), story.subscription());
    await database.signUp({ id: late });
    expect(await featuresOf(database, late)).toEqual(["export"]);
  });

  it("a customer linked by email has them when the address is confirmed, and loses them with it", async () => {
    await database.sql`update billing.settings set link_customers_by_email = true where id`;
    const email = `${story.name}@example.com`;
    const late = await database.signUp({ email, confirmed: false });
    const customer = (address: string) =>
      story.event("customer.updated", { id: story.id("cus"), object: "customer", email: address });
    await tell(database, story.product("export"), customer(email), story.subscription());
    expect(await featuresOf(database, late)).toEqual([]);
    const auth = database.connect({ role: "supabase_auth_admin" });
    await auth`update auth.users set email_confirmed_at = now() where id = ${late}`;
    expect(await featuresOf(database, late)).toEqual(["export"]);
    await tell(database, customer("somebody@example.com"));
    expect(await featuresOf(database, late)).toEqual([]);
    await database.sql`update billing.settings set link_customers_by_email = false where id`;
  });

  it("a user who is deleted has none, on record; the customer's next event is projected as ever", async () => {
    await tell(database, story.product("export"), story.customer(user), story.subscription());
    const auth = database.connect({ role: "supabase_auth_admin" });
    await auth`delete from auth.users where id = ${user}`;
    expect(await features()).toEqual([]);
    expect(await version()).toBe(2);
    expect(await audited()).toEqual(["entitlement.granted export", "entitlement.revoked export"]);
    await tell(database, story.subscription({ status: "past_due" }));
    expect(await features()).toEqual([]);
  });
});

describe("grace", () => {
  /** Stands in for dunning, which says per subscription whether access is kept. */
  async function dunningSays(answer: string): Promise<void> {
    await database.sql.unsafe(`
      create or replace function billing_private.dunning_access(p_subscription_id text) returns boolean
      language plpgsql stable set search_path = '' as $$
      begin
        return (select v.access from (values ${answer}) as v (id, access) where v.id = p_subscription_id);
      end;
      $$
    `);
    await database.sql`select billing_private.refresh_entitlements(${story.id("cus")}, now())`;
  }

  it("keeps what the status would take, until dunning lets go", async () => {
    await tell(
      database,
      story.product("export"),
      story.customer(user),
      story.subscription({ status: "unpaid" }),
    );
    expect(await features()).toEqual([]);
    await dunningSays(`('${story.id("sub")}', true)`);
    expect(await features()).toEqual(["export"]);
    await dunningSays("('', null::boolean)");
    expect(await features()).toEqual([]);
  });

  it("that is refused takes what the status would leave, and what Stripe's list has of it", async () => {
    await tell(
      database,
      story.product("export"),
      story.customer(user),
      story.subscription({ status: "past_due" }),
      story.summary(["sso"]),
    );
    await dunningSays(`('${story.id("sub")}', false)`);
    expect(await features()).toEqual([]);
    await dunningSays("('', null::boolean)");
    expect(await features()).toEqual(["export", "sso"]);
  });
});
