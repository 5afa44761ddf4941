import { randomUUID } from "node:crypto";
import { Writable } from "node:stream";
import { stripVTControlCharacters } from "node:util";
import { afterAll, beforeAll, beforeEach, expect, test } from "vitest";
import { tellStory } from "../../../scripts/duebase/commands/customer.ts";
import type { CustomerStory, Entry } from "../../../scripts/duebase/customer/story.ts";
import { Terminal } from "../../../scripts/duebase/terminal.ts";
import { runDuebase } from "../../support/duebase-command.ts";
import { DunningWorld, type Subscriber } from "../../support/dunning-world.ts";

let world: DunningWorld;
let ada: Subscriber;
let bea: Subscriber;
const owner = randomUUID();

beforeAll(async () => {
  world = await DunningWorld.open();
  // Ada pays, then her card fails, and she is told until the end of it. Bea only pays.
  ada = await world.subscribe();
  bea = await world.subscribe();
  await world.database.sql`insert into auth.users (id, email) values (${owner}, 'ada.user@example.com')`;
  await world.arrive();
  await world.database
    .sql`select billing.link_customers(${world.database.sql.json([{ customer: ada.customer, owner_id: owner }])})`;
  await world.deliver();
  await world.breakCard(ada);
  await world.renew(ada);
  for (let day = 1; day <= 12; day++) await world.nextDay();
}, 180_000);
afterAll(() => world.close());
beforeEach(() => {
  process.exitCode = undefined;
});

async function tell(who: string, { json = false, limit = 200 } = {}): Promise<string> {
  let text = "";
  const out = new Writable({
    write(chunk, _encoding, done) {
      text += chunk;
      done();
    },
  });
  await world.database.sql.begin("read only", (sql) =>
    tellStory(sql, who, limit, new Terminal({ json, out, err: out })),
  );
  return stripVTControlCharacters(text);
}
const storyOf = async (who: string, limit?: number) =>
  JSON.parse(await tell(who, { json: true, limit })) as CustomerStory;
const of = (kind: Entry["kind"], story: CustomerStory) =>
  story.story.filter((entry) => entry.kind === kind).map(({ what, outcome }) => `${what} → ${outcome}`);

test("a story is told in order: what Stripe said, what was tried and mailed, how the case went, and what it cost", async () => {
  const story = await storyOf(ada.email);
  const times = story.story.map(({ at }) => Date.parse(String(at)));
  expect(times).toEqual([...times].sort((a, b) => a - b));
  expect(of("event", story)).toContain("customer.created → processed");
  expect(of("mail", story).map((line) => line.replace(/:.*→/, " →"))).toEqual([
    "payment-receipt → delivered",
    "payment-failed-notice → delivered",
    "payment-failed-urgent → delivered",
    "payment-failed-final → delivered",
    "subscription-canceled → delivered",
  ]);
  expect(of("dunning", story).map((line) => line.replace(/ \d+/, "").replace(/sub_\w+/, "sub"))).toEqual([
    expect.stringMatching(/^case opened about sub → overdue since \d{4}-\d\d-\d\d$/),
    "case: notice → sent",
    "case: urgent reminder → sent",
    "case: final warning → sent",
    "case: end → done",
    "case closed → ended",
  ]);
  expect(of("charge", story).at(0)).toMatch(/^payment .* → succeeded$/);
  expect(story.story.find(({ kind, is_bad }) => kind === "charge" && is_bad)).toMatchObject({
    why: expect.stringMatching(/insufficient/i),
    currency: "usd",
  });
  const warning = story.story.find(({ what }) => what.endsWith("final warning"));
  expect(warning?.why).toMatch(/names \d{4}-\d\d-\d\d as the end/);
  expect(story.subscriptions).toMatchObject([{ id: ada.subscription, status: "canceled" }]);
});

test("an event that could not be projected, came late, twice, or not at all, says so", async () => {
  const { sql } = world.database;
  await sql`
    insert into billing.webhook_events (id, type, api_version, livemode, created, customer_id, received_at)
    select 'evt_' || n, 'customer.updated', '2026-10-28.endive', false, now() - interval '1 day', ${bea.customer}, now() - interval '1 day' + n * interval '1 minute'
    from unnest(array['1', '2', '300']) as t (m) cross join lateral (select t.m::integer as n) as i`;
  await sql`
    insert into billing.failed_webhooks (event_id, status, attempts, error, first_failed_at, last_failed_at)
    values ('evt_1', 'dead', 4, '{"message": "it broke"}', now(), now())`;
  await sql`insert into billing.webhook_duplicates (event_id, received_at) values ('evt_2', now()), ('evt_2', now())`;
  const { story } = await storyOf(bea.customer);
  const told = (id: string) => story.find((entry) => entry.id === id);
  expect(told("evt_1")).toMatchObject({ outcome: "dead", why: "it broke", is_bad: true });
  expect(told("evt_2")).toMatchObject({ outcome: "processed, delivered 3 times", is_bad: false });
  expect(told("evt_300")?.why).toMatch(/^it came on /);
});

test.each([
  ["a customer's id", () => ada.customer],
  ["an address, however it is written", () => ada.email.toUpperCase()],
  ["a subscription", () => ada.subscription],
  ["an owner of the application's", () => owner],
  [
    "an event",
    async () => (await storyOf(ada.customer)).story.find(({ kind }) => kind === "event")?.id ?? "",
  ],
])("is found by %s", async (_what, who) => {
  expect((await storyOf(await who())).customer.id).toBe(ada.customer);
});

test("people read it in a terminal, with who it is and how things stand on top", async () => {
  const text = await tell(ada.email);
  expect(text).toContain(`${ada.customer}  `);
  expect(text).toContain(`belongs to ${owner}`);
  expect(text).toContain(`${ada.subscription} canceled`);
  expect(text).toMatch(/mail +payment-failed-notice: [^→]*→ delivered/);
  expect(text).not.toMatch(/undefined|null|NaN|Invalid/);
});

test("of a long story the newest is told, and that there is more", async () => {
  const story = await storyOf(ada.customer, 5);
  expect(story.story).toHaveLength(5);
  expect(story.has_more).toBe(true);
  expect(story.story).toEqual((await storyOf(ada.customer)).story.slice(-5));
  expect(await tell(ada.customer, { limit: 5 })).toContain("more happened before");
});

test("several who fit are listed, and none is chosen", async () => {
  await world.database
    .sql`insert into billing.customers (id, email, name) values ('cus_second', ${bea.email}, E'Bea\\x1b[31m again')`;
  const text = await tell(bea.email);
  expect(text).toContain("2 customers fit");
  expect(text).toContain("cus_second");
  expect(text).not.toContain("\u001b");
  expect(process.exitCode).toBe(1);
  expect(JSON.parse(await tell(bea.email, { json: true }))).toMatchObject({ matches: [{}, {}] });
  process.exitCode = undefined;
  await world.database.sql`delete from billing.customers where id = 'cus_second'`;
});

test("nobody who fits is a refusal with what to try", async () => {
  for (const who of ["nobody@example.com", "cus_nobody", "", "%", "'"]) {
    await expect(tell(who)).rejects.toMatchObject({
      name: "Refusal",
      cure: expect.stringContaining("backfill"),
    });
  }
});

test("the command reads the database that is named, and ends with 1 where nobody fits", async () => {
  const run = async (...args: string[]) => {
    const { code, output, problem } = await runDuebase(["customer", ...args, "--db-url", world.database.url]);
    return { code, output: output + problem };
  };
  expect(await run(ada.email, "--json")).toMatchObject({
    code: 0,
    output: expect.stringContaining(`"id": "${ada.customer}"`),
  });
  expect(await run("nobody@example.com")).toMatchObject({
    code: 1,
    output: expect.stringContaining("No customer fits nobody@example.com."),
  });
}, 60_000);

test("somebody who was forgotten is found, and it is said that nothing of them is left but amounts", async () => {
  const { sql } = world.database;
  await sql`delete from auth.users where id = ${owner}`;
  await world.database.asService((service) => service`select billing.forget_user(${owner})`);
  for (const who of [ada.customer, ada.email]) {
    const text = await tell(who);
    expect(text).toContain("forgotten on ");
    expect(text.replace(ada.customer, "")).not.toContain(ada.email);
  }
  expect((await storyOf(ada.customer)).customer.forgotten_at).not.toBeNull();
});
