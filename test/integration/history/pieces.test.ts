import { afterAll, beforeAll, expect, test } from "vitest";
import type { CallBilling } from "../../../supabase/functions/_duebase/database.ts";
import { StripeCallError } from "../../../supabase/functions/_duebase/errors.ts";
import { connectStripe } from "../../../supabase/functions/_duebase/stripe.ts";
import { BUDGET_MS } from "../../../supabase/functions/duebase-reconcile/reconcile.ts";
import {
  differingRows,
  impatientClock,
  mirroredRows,
  readHistory,
  TEST_KEY,
} from "../../support/account/moving-in.ts";
import { type StripeAccount, startAccountWithHistory } from "../../support/account/stripe-account.ts";
import { createTestDatabase, type TestDatabase } from "../../support/database.ts";
import { callAsService } from "../../support/delivering.ts";

// A backfill that the project makes by itself, a piece a minute.

let account: StripeAccount;
let database: TestDatabase;

beforeAll(async () => {
  account = await startAccountWithHistory({ customers: 12, months: 3 });
  database = await createTestDatabase();
}, 120_000);
afterAll(async () => {
  await account?.close();
  await database?.drop();
});

const callStripe = () => connectStripe({ secretKey: TEST_KEY, baseUrl: account.local.url });

test("no piece takes 50 seconds, however slowly Stripe answers, each goes on where the one before it ended, and the rows are those of one run", async () => {
  const clock = impatientClock();
  const took: number[] = [];
  let result: Awaited<ReturnType<typeof readHistory>>;
  do {
    const begun = clock.now();
    result = await readHistory(
      database,
      account,
      { kind: "backfill" },
      {
        clock,
        budgetMs: BUDGET_MS,
        callStripe: async (request) => {
          // Two and a half seconds for every answer.
          clock.waited += 2_500;
          return await callStripe()(request);
        },
      },
    );
    took.push(clock.now() - begun);
    expect(["paused", "finished"]).toContain(result.outcome);
    // The next one may begin at once.
    expect(
      await database.sql`select from billing_private.history_lease where claim_id is not null`,
    ).toHaveLength(0);
  } while (result.outcome === "paused" && took.length < 20);
  expect(result).toMatchObject({ outcome: "finished", run: { status: "complete" } });
  expect(took.length).toBeGreaterThan(2);
  expect(Math.max(...took)).toBeLessThan(50_000);
  expect(await database.sql`select from billing.history_runs`).toHaveLength(1);
  const pages = await database.sql`select step from billing.history_steps where pages > 1`;
  expect(pages.length).toBeGreaterThan(0);

  const atOnce = await createTestDatabase();
  await readHistory(atOnce, account);
  expect(differingRows(await mirroredRows(atOnce), await mirroredRows(database))).toEqual([]);
  await atOnce.drop();
});

test("a runner whose lease somebody else has taken over changes nothing any more", async () => {
  const other = await createTestDatabase();
  const call = callAsService(other);
  const callBilling = (async (name, args) => {
    const { p_step } = JSON.parse(args) as { p_step?: string };
    if (name === "apply_history" && p_step === "subscriptions") {
      await other.sql`
        update billing_private.history_lease
        set claim_id = gen_random_uuid(), holder = 'another one', locked_until = 'infinity' where true`;
    }
    return await call(name, args);
  }) as CallBilling;
  await expect(readHistory(other, account, { kind: "backfill" }, { callBilling })).rejects.toMatchObject({
    code: "history_lease_lost",
  });
  const [run] = await other.sql`select status, problem from billing.history_runs`;
  expect(run).toEqual({ status: "running", problem: null });
  const steps = await other.sql`select step from billing.history_steps where pages > 0 order by position`;
  expect(steps).toEqual([{ step: "products" }, { step: "prices" }, { step: "customers" }]);
  expect(await other.sql`select from billing.subscriptions`).toHaveLength(0);
  expect(await other.sql`select holder from billing_private.history_lease`).toEqual([
    { holder: "another one" },
  ]);
  await other.drop();
});

test("a run that Stripe refuses halfway keeps what it has, names the permission, and goes on with a key that may", async () => {
  const other = await createTestDatabase();
  let tries = 0;
  const order = { kind: "backfill" } as const;
  await expect(
    readHistory(other, account, order, {
      callStripe: async (request) => {
        if (request.path === "/v1/charges") tries += 1;
        // The list could be tried; then the permission was taken away.
        if (tries < 2) return await callStripe()(request);
        throw new StripeCallError({
          status: 403,
          code: "more_permissions_required",
          message: "Having the 'rak_charge_read' permission would allow this request to continue.",
        });
      },
    }),
  ).rejects.toBeInstanceOf(StripeCallError);
  const [run] = await other.sql`select status, problem from billing.history_runs`;
  expect(run).toMatchObject({ status: "running", problem: expect.stringContaining("rak_charge_read") });
  expect(await readHistory(other, account)).toMatchObject({
    run: { status: "complete", problem: null, id: 1 },
  });
  await other.drop();
});

test("on a slow database the rest of a page goes together in the next call, and not one by one", async () => {
  const slow = await createTestDatabase();
  await slow.sql.unsafe(`
    create function public.take_time() returns trigger language plpgsql as $$ begin perform pg_sleep(0.3); return new; end $$;
    create trigger takes_time before insert on billing.customers for each row execute function public.take_time();
  `);
  const call = callAsService(slow);
  const sent: number[] = [];
  const callBilling = (async (name, args) => {
    const { p_step, p_page } = JSON.parse(args) as { p_step?: string; p_page?: { objects: unknown[] } };
    if (name === "apply_history" && p_step === "customers") sent.push(p_page?.objects.length ?? 0);
    return await call(name, args);
  }) as CallBilling;
  const result = await readHistory(slow, account, { kind: "backfill" }, { callBilling });
  expect(result).toMatchObject({ outcome: "finished", run: { status: "complete" } });
  // Twelve customers take longer than the two seconds of a call.
  expect(sent.length).toBeGreaterThan(1);
  expect(sent.length).toBeLessThan(6);
  const [step] =
    await slow.sql`select pages::integer, cursor is not null as has_cursor, status from billing.history_steps where step = 'customers'`;
  expect(step).toEqual({ pages: 1, has_cursor: true, status: "done" });
  expect(await slow.sql`select from billing.customers where created is not null`).toHaveLength(12);
  await slow.drop();
});
