import { afterAll, beforeAll, beforeEach, expect, test } from "vitest";
import { StripeCallError } from "../../../supabase/functions/_duebase/errors.ts";
import { HistoryRefusal } from "../../../supabase/functions/_duebase/history/key-check.ts";
import { connectStripe } from "../../../supabase/functions/_duebase/stripe.ts";
import { duebase } from "../../support/account/command.ts";
import { impatientClock, readHistory, TEST_KEY } from "../../support/account/moving-in.ts";
import { type StripeAccount, startAccount } from "../../support/account/stripe-account.ts";
import { createTestDatabase, type TestDatabase } from "../../support/database.ts";

let account: StripeAccount;
let database: TestDatabase;

beforeAll(async () => {
  account = await startAccount();
  await account.stripe.customers.create({ email: "ada@example.com" });
  database = await createTestDatabase();
});
afterAll(async () => {
  await account?.close();
  await database?.drop();
});
beforeEach(() => account.local.faults.clear());

async function refusal(work: Promise<unknown>): Promise<HistoryRefusal> {
  const error = await work.then(
    () => undefined,
    (it: unknown) => it,
  );
  if (error instanceof HistoryRefusal) return error;
  throw error ?? new Error("it was not refused");
}

async function nothingWritten(): Promise<void> {
  expect(await database.sql`select from billing.history_runs`).toHaveLength(0);
  expect(await database.sql`select from billing.customers`).toHaveLength(0);
}

test("a key that may not list something is refused before anything is written, with every permission named", async () => {
  for (const [path, permission] of [
    ["/v1/invoices", "rak_invoice_read"],
    ["/v1/disputes", "rak_dispute_read"],
  ] as const) {
    account.local.faults.add({ match: { path }, action: { kind: "forbidden", permission }, times: 9 });
  }
  const refused = await refusal(readHistory(database, account));
  expect(refused.code).toBe("permission_missing");
  expect(refused.message).toContain("rak_invoice_read, rak_dispute_read");
  await nothingWritten();
});

test("a key that may list customers and not read their cards is refused before anything is written", async () => {
  const callStripe = connectStripe({ secretKey: TEST_KEY, baseUrl: account.local.url });
  const refused = await refusal(
    readHistory(
      database,
      account,
      { kind: "backfill" },
      {
        callStripe: async (request) => {
          if (!Object.values(request.params ?? {}).some((value) => value.endsWith("default_payment_method")))
            return await callStripe(request);
          throw new StripeCallError({
            status: 403,
            code: "more_permissions_required",
            message: "Having the 'rak_payment_method_read' permission would allow this request to continue.",
          });
        },
      },
    ),
  );
  expect(refused.code).toBe("permission_missing");
  expect(refused.message).toContain("rak_payment_method_read");
  await nothingWritten();
});

test("a restricted key that may not tell whose it is passes, if it may list everything", async () => {
  const fresh = await createTestDatabase();
  account.local.faults.add({
    match: { path: "/v1/account" },
    action: { kind: "forbidden", permission: "rak_accounts_kyc_basic_read" },
  });
  expect(await readHistory(fresh, account)).toMatchObject({ run: { status: "complete", account: null } });
  await fresh.drop();
});

test("a key that is no longer in force is refused", async () => {
  account.local.faults.add({
    match: { path: "/v1/account" },
    action: { kind: "error", status: 401, message: "Expired API Key provided: sk_test_***" },
  });
  const refused = await refusal(readHistory(database, account));
  expect(refused).toMatchObject({ code: "key_refused", message: expect.stringContaining("Expired API Key") });
  await nothingWritten();
});

test("a key of another account than that of the last backfill is refused, by the command too", async () => {
  const fresh = await createTestDatabase();
  await readHistory(fresh, account);
  const other = await startAccount();
  const customers = await fresh.sql`select id from billing.customers`;
  const refused = await refusal(readHistory(fresh, other));
  expect(refused.code).toBe("wrong_account");
  expect(refused.message).toContain(account.local.account);
  expect(refused.message).toContain(other.local.account);
  const { code, out, err } = await duebase(fresh, other, ["backfill"]);
  expect(code).toBe(1);
  expect(err).toContain("Use a key of that account.");
  expect(out + err).not.toContain(TEST_KEY);
  expect(await fresh.sql`select id from billing.customers`).toEqual(customers);
  expect(await fresh.sql`select from billing.history_runs`).toHaveLength(1);
  await other.close();
  await fresh.drop();
});

test("the permission that is missing is named by the command, with what to do", async () => {
  account.local.faults.add({
    match: { path: "/v1/refunds" },
    action: { kind: "forbidden", permission: "rak_refund_read" },
    times: 9,
  });
  for (const more of [[], ["--dry-run"]]) {
    const { code, out } = await duebase(database, account, ["backfill", "--json", ...more]);
    expect(code).toBe(1);
    expect(JSON.parse(out).error.message).toContain("It lacks rak_refund_read.");
    expect(JSON.parse(out).error.cure).toContain("Developers, API keys");
  }
  await nothingWritten();
});

test("a key of the other mode is refused before Stripe is asked", async () => {
  account.local.ledger.clear();
  const refused = await refusal(
    readHistory(database, account, { kind: "backfill" }, { secretKey: "sk_live_example_0000" }),
  );
  expect(refused.code).toBe("wrong_mode");
  expect(account.local.ledger.requests).toHaveLength(0);
  await nothingWritten();
});

test("an account that does not have what Stripe told this project of is refused", async () => {
  const other = await createTestDatabase();
  const id = "cus_of_another_account";
  await other.receive({
    id: "evt_of_another_account",
    object: "event",
    type: "customer.created",
    created: 1_700_000_000,
    livemode: false,
    api_version: "2026-10-28.endive",
    data: { object: { id, object: "customer", livemode: false, created: 1_700_000_000, metadata: {} } },
  });
  const refused = await refusal(readHistory(other, account));
  expect(refused.code).toBe("wrong_account");
  expect(refused.message).toContain(id);
  expect(await other.sql`select from billing.history_runs`).toHaveLength(0);
  await other.drop();
});

test("429 is waited for as long as Stripe says, and the run is complete", async () => {
  account.local.faults.add({
    match: { path: "/v1/customers" },
    skip: 1,
    times: 3,
    action: { kind: "error", status: 429, headers: { "retry-after": "7" } },
  });
  const clock = impatientClock();
  const result = await readHistory(database, account, { kind: "backfill" }, { clock });
  expect(result).toMatchObject({ outcome: "finished", run: { status: "complete" } });
  expect(clock.waited).toBeGreaterThanOrEqual(21_000);
});

test("no more calls are made in a second than the account may make", async () => {
  account.local.ledger.clear();
  const clock = impatientClock();
  const begun = clock.now();
  await readHistory(database, account, { kind: "backfill" }, { clock });
  const calls = account.local.ledger.requests.length;
  const seconds = (clock.now() - begun) / 1000;
  // Fifteen at once after a rest, then fifteen a second.
  expect(calls).toBeLessThanOrEqual(15 * (seconds + 1) + 1);
});

test("a second runner gets nothing while the first one has the lease", async () => {
  await database.sql`
    update billing_private.history_lease
    set claim_id = gen_random_uuid(), holder = 'the first one', locked_until = ${account.now()}::timestamptz + interval '30 seconds'
    where true
  `;
  account.local.ledger.clear();
  expect(await readHistory(database, account)).toMatchObject({ outcome: "busy", holder: "the first one" });
  expect(account.local.ledger.requests).toHaveLength(0);
});

test("a run that meets an object it cannot apply is incomplete, says so, and has the rest", async () => {
  const fresh = await createTestDatabase();
  const broken = await account.stripe.customers.create({ email: "broken@example.com" });
  await fresh.sql.unsafe(`
    create function public.refuse_one() returns trigger language plpgsql as
      $$ begin if new.id = '${broken.id}' then raise exception 'refused by a test'; end if; return new; end $$;
    create trigger refuses_one before insert on billing.customers for each row execute function public.refuse_one();
  `);
  const result = await readHistory(fresh, account);
  expect(result).toMatchObject({ outcome: "finished", run: { status: "incomplete", problems: 1 } });
  expect(
    await fresh.sql`select object_id, error ->> 'message' as message from billing.history_problems`,
  ).toEqual([{ object_id: broken.id, message: "refused by a test" }]);
  expect(await fresh.sql`select from billing.customers`).toHaveLength(1);
  const gaps = await fresh.sql`select gap from billing.history_gaps()`;
  expect(gaps.map(({ gap }) => gap)).toContain("a backfill has begun and is not complete");
  await fresh.drop();
});
