import { afterAll, beforeAll, expect, it } from "vitest";
import { oldDebts } from "../../../scripts/duebase/commands/old-debts.ts";
import { answerOf } from "../../support/duebase/answers.ts";
import { DunningWorld, type Subscriber } from "../../support/dunning-world.ts";

let world: DunningWorld;
const debtors: Subscriber[] = [];

// The command goes by the real time, and so this world ends there.
beforeAll(async () => {
  world = await DunningWorld.open(new Date(Date.now() - 45 * 86_400_000));
  await world.database.sql`
    update billing.settings
    set mode = 'mirror', project_ref = null, app_name = 'Example Notes', app_url = 'https://notes.example.com',
      email_from = 'billing@example.com'
    where id`;
  for (let person = 0; person < 3; person++) debtors.push(await world.subscribe());
  await world.arrive();
  for (const debtor of debtors) await world.breakCard(debtor);
  // They subscribed in one second, and so they renew together.
  if (debtors[0]) await world.renew(debtors[0]);
}, 240_000);
afterAll(() => world?.close());

const listed = async () =>
  (await answerOf((terminal) => oldDebts(world.database.sql, {}, terminal))).debts as { email: string }[];
const release = (invoices: string[], given: { yes?: boolean; dryRun?: boolean } = {}) =>
  answerOf(
    (terminal) => oldDebts(world.database.sql, { release: invoices, dryRun: given.dryRun }, terminal),
    given,
  );
const invoicesOf = async ({ customer }: Subscriber) =>
  (
    await world.database.sql<
      { id: string }[]
    >`select id from billing.invoices where customer = ${customer} and status = 'open'`
  ).map(({ id }) => id);

it("in mirror mode old debts are listed, and none is released", async () => {
  await world.database.sql`update billing.settings set adopted_at = now() where id`;
  expect((await listed()).map(({ email }) => email).sort()).toEqual(debtors.map(({ email }) => email));
  const { error } = await release(["all"], { yes: true });
  expect(error).toMatchObject({ name: "Refusal", cure: expect.stringContaining("go-live") });
});

it("a released debt begins with a notice, and who was not released hears nothing", async () => {
  await world.database.sql`update billing.settings set adopted_at = null where id`;
  await world.database.sql`select billing.go_live('local')`;
  world.now = new Date();
  await world.run();
  expect(world.inbox.ledger.mails).toEqual([]);
  const [first] = debtors;
  if (!first) throw new Error("there are no debtors");
  const invoices = await invoicesOf(first);

  expect(await release(invoices, { dryRun: true })).toMatchObject({
    dry_run: true,
    released: 0,
    customers: 1,
  });
  expect(await release(invoices)).toMatchObject({ error: { cure: expect.stringContaining("--yes") } });
  expect(await release([...invoices, "in_ExampleUnknown"], { yes: true })).toMatchObject({
    error: { message: expect.stringContaining("in_ExampleUnknown") },
  });
  expect(await listed()).toHaveLength(3);

  expect(await release(invoices, { yes: true })).toMatchObject({ released: 1, customers: 1 });
  expect(await listed()).toHaveLength(2);
  world.now = new Date();
  await world.deliver();
  await world.nextDay();
  const mails = () => debtors.map(({ email }) => world.mailsTo(email));
  expect(mails()).toEqual([["payment-failed-notice"], [], []]);

  expect(await release(["all"], { yes: true })).toMatchObject({ released: 2 });
  expect(await listed()).toEqual([]);
  await world.deliver();
  expect(mails()).toEqual([["payment-failed-notice"], ["payment-failed-notice"], ["payment-failed-notice"]]);
}, 240_000);
