import { afterEach, beforeEach, expect, it } from "vitest";
import { jobs } from "../../../scripts/duebase/doctor/checks/jobs.ts";
import { mode } from "../../../scripts/duebase/doctor/checks/mode.ts";
import { vault } from "../../../scripts/duebase/doctor/checks/vault.ts";
import type { RoundTrip } from "../../../scripts/duebase/doctor/context.ts";
import { openContext } from "../../../scripts/duebase/doctor/open.ts";
import { runChecks } from "../../../scripts/duebase/doctor/run.ts";
import { createTestDatabase, type TestDatabase } from "../../support/database.ts";
import { callAsService, deliver } from "../../support/delivering.ts";
import { DAY, DunningWorld } from "../../support/dunning-world.ts";

// A copy has the same rows and the same keys. Only its functions know that they run in another project.

let world: DunningWorld;
let copy: TestDatabase | undefined;
beforeEach(async () => {
  world = await DunningWorld.open();
  await world.database.sql`
    update billing.settings set project_ref = 'originalproject' where id`;
});
afterEach(async () => {
  await copy?.drop();
  copy = undefined;
  await world.close();
});

it("a clone with the same keys sends and calls nothing, opens no case, and tells the operator once", async () => {
  const who = await world.subscribe();
  await world.arrive();
  await world.breakCard(who);
  const original = { ...world.parts, project: "originalproject" };
  await deliver(original, world.now);
  expect(world.mailsTo(who.email)).toEqual(["payment-receipt"]);
  // The renewal fails; the case is open, its first evaluation and a call wait: that is when it is cloned.
  const { items } = await world.stripe.subscriptions.retrieve(who.subscription);
  await world.passTime(new Date((items.data[0]?.current_period_end ?? 0) * 1000));
  await world.passTime(new Date(world.now.getTime() + 3_660_000));
  const { sql } = world.database;
  await sql`select billing_private.enqueue('stripe', 'void:1', '{"call": "void_invoice", "id": "in_Example"}', ${world.now})`;
  copy = await createTestDatabase({ copyOf: world.database });
  const waiting =
    await copy.sql`select id, status, kind, attempts from billing.outbox where status = 'pending' order by id`;
  expect(waiting.map(({ kind }) => kind)).toEqual(expect.arrayContaining(["dunning", "stripe"]));

  const posted: string[] = [];
  const cloned = {
    ...world.parts,
    project: "anotherproject",
    database: copy,
    postAlert: async (text: string) => void posted.push(text),
  };
  const requests = world.local.ledger.requests.length;
  const mails = world.inbox.ledger.mails.length;
  for (let hour = 0; hour < 3; hour++)
    await deliver(cloned, new Date(world.now.getTime() + hour * 3_600_000));
  const call = callAsService(copy, "anotherproject");
  const later = new Date(world.now.getTime() + 5 * DAY).toISOString();
  const page = await call("advance_dunning", JSON.stringify({ p_now: later }));
  const taken = await call(
    "take_dunning_steps",
    JSON.stringify({ p_customer: who.customer, p_checked: [], p_now: later }),
  );

  expect(page).toMatchObject({ due: 0 });
  expect(taken).toMatchObject({ mails: 0, ends: 0 });
  expect(world.inbox.ledger.mails.length).toBe(mails);
  expect(world.local.ledger.requests.slice(requests).filter(({ method }) => method !== "GET")).toEqual([]);
  // As they were: the original has the same rows, and the same functions may come to work here by mistake.
  expect(
    await copy.sql`select id, status, kind, attempts from billing.outbox where id = any (${waiting.map(({ id }) => id)}) and kind <> 'refresh' order by id`,
  ).toEqual(waiting.filter(({ kind }) => kind !== "refresh"));
  expect(posted).toHaveLength(1);
  expect(posted[0]).toContain("it is a copy");
  expect(await copy.sql`select job, problem from billing.job_problems where job = 'project'`).toEqual([
    { job: "project", problem: expect.stringContaining("anotherproject") },
  ]);
  for (const [name, args] of [
    ["find_portal_customer", { p_owner_id: "0c0ffee0-1111-4222-8333-944455556666" }],
    ["prepare_checkout", { p_owner_id: "0c0ffee0-1111-4222-8333-944455556666", p_price: "price_1" }],
  ] as const) {
    await expect(call(name, JSON.stringify(args))).rejects.toMatchObject({
      code: "mirror_mode",
      status: 409,
    });
  }

  // Its Vault is the original's too, whose functions answer as well as ever.
  await copy.sql`select vault.create_secret('https://originalproject.supabase.co/functions/v1', 'duebase_functions_url')`;
  await copy.sql`select vault.create_secret('example', 'duebase_cron_secret')`;
  const context = await openContext(copy.sql, { projectRef: "anotherproject" }, {});
  const answer = {
    is: "answered",
    report: { project: "originalproject" },
    took: 1,
    answeredAt: 0,
  } as RoundTrip;
  const { results } = await runChecks([vault, mode, jobs], { ...context, roundTrip: async () => answer });
  expect(results.map(({ check, light }) => [check, light])).toEqual([
    ["vault", "red"],
    ["mode", "red"],
    ["jobs", "green"],
  ]);

  // The original goes on meanwhile.
  await deliver(original, world.now);
  await world.arrive();
  await deliver(original, world.now);
  expect(world.mailsTo(who.email)).toEqual(["payment-receipt", "payment-failed-notice"]);
});

it("a worker that does not say which project it is of gets reads and alerts only", async () => {
  const { sql } = world.database;
  for (const kind of ["stripe", "dunning", "email", "refresh", "alert"])
    await sql`select billing_private.enqueue(${kind}, ${`key:${kind}`}, '{}', ${world.now})`;
  const claimed = await callAsService(world.database, null)(
    "claim_outbox",
    JSON.stringify({ p_worker: "nameless", p_now: world.now.toISOString() }),
  );
  // The alert about the copy is enqueued by the claim, and claimed with the next one.
  expect((claimed as { kind: string }[]).map(({ kind }) => kind).sort()).toEqual([
    "alert",
    "alert",
    "refresh",
  ]);
});

it("an event that a copy's function receives opens no case there, and what it enqueues is withheld", async () => {
  const call = callAsService(world.database, "anotherproject");
  const who = await world.subscribe();
  await world.breakCard(who);
  world.arrives = () => false;
  await world.renew(who);
  for (const event of world.late.splice(0))
    await call("receive_event", JSON.stringify({ event, p_now: world.now.toISOString() }));
  const { sql } = world.database;
  expect(await sql`select status from billing.subscriptions`).toEqual([{ status: "past_due" }]);
  expect(await sql`select * from billing.dunning_cases`).toEqual([]);
  expect(await sql`select reason, what from billing.withheld_effects`).toEqual([
    { reason: "copy", what: "payment-receipt" },
  ]);
});

it("a copy that goes live becomes the original: what waited in it is withheld, and what comes next is done", async () => {
  const { sql } = world.database;
  await sql`
    update billing.settings
    set app_name = 'Example Notes', app_url = 'https://notes.example.com', email_from = 'billing@example.com' where id`;
  const who = await world.subscribe();
  await world.arrive();
  copy = await createTestDatabase({ copyOf: world.database });
  await copy.sql`select billing.go_live('anotherproject', ${world.now})`;
  expect(await copy.sql`select reason, what from billing.withheld_effects`).toEqual([
    { reason: "copy", what: "payment-receipt" },
  ]);
  const moved = { ...world.parts, project: "anotherproject", database: copy };
  await deliver(moved, world.now);
  expect(world.mailsTo(who.email)).toEqual([]);
  await copy.sql`select billing_private.enqueue_email_to(
    ${who.customer}, ${world.now}, 'card-expiring', 'card-expiring:test', '{}',
    '{"customerName": null, "productName": null, "paymentMethod": {"type": "card", "brand": "visa", "last4": "4242"}, "expiresMonth": 4, "expiresYear": 2026, "nextPaymentAt": null}', ${world.now})`;
  const states = await copy.sql`select status from billing.outbox where dedupe_key = 'card-expiring:test'`;
  expect(states).toEqual([{ status: "pending" }]);
});
