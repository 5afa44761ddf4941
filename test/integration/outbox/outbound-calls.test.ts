import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { createTestDatabase, type TestDatabase } from "../../support/database.ts";

let database: TestDatabase;
beforeAll(async () => {
  database = await createTestDatabase();
});
beforeEach(async () => {
  await database.sql`truncate billing.outbox, billing_private.outbound_requests, billing.outbound_calls, billing.job_problems`;
  await database.sql`delete from net.http_request_queue`;
  await database.sql`delete from net._http_response`;
  await database.sql`delete from vault.secrets where true`;
  await database.sql`select vault.create_secret('https://user:word@functions.test/functions/v1?key=hidden', 'duebase_functions_url')`;
  await database.sql`select vault.create_secret('cron-secret-example', 'duebase_cron_secret')`;
});
afterAll(() => database.drop());

const start = async (sql = database.sql, name = "duebase-deliver") => {
  const [row] = await sql`select billing_private.start_function(${name}, now()) as called`;
  return row?.called as boolean;
};
/** The minute after: what was noted is a minute older, and its answers are read. */
const minuteLater = async (by = "0 minutes") => {
  const [row] = await database.sql`
    with older as (update billing_private.outbound_requests set asked_at = asked_at - interval '61 seconds' returning id)
    select count(*) from older`;
  void row;
  const [read] =
    await database.sql`select billing_private.read_outbound_answers(now() + ${by}::interval) as done`;
  return read?.done as number;
};
/** What pg_net writes when the request that waits is over. */
const answer = (
  status: number | null,
  more: { ours?: boolean; error?: string; timedOut?: boolean; content?: string } = {},
) => database.sql`
  with sent as (delete from net.http_request_queue returning id)
  insert into net._http_response (id, status_code, headers, content, timed_out, error_msg)
  select id, ${status}, ${status === null ? null : database.sql.json(more.ours ? { "Duebase-Release": "0.1.0" } : { server: "x" })},
    ${more.content ?? "secret body"}, ${more.timedOut ?? false}, ${more.error ?? null}
  from sent
`;
const ledger = () =>
  database.asService(
    (sql) => sql`
      select job, url, status, error, is_ours, bad_in_a_row, last_ok_at is not null as was_ok, problem
      from billing.outbound_calls order by job`,
  );
const problems = () =>
  database.asService((sql) => sql`select job, problem from billing.job_problems order by job`);

describe("the ledger of the database's calls", () => {
  it("shows a call that was answered, without user, password and query of its address", async () => {
    expect(await start()).toBe(true);
    await answer(202, { ours: true });
    expect(await minuteLater()).toBe(1);
    expect(await ledger()).toEqual([
      {
        job: "deliver",
        url: "https://functions.test/functions/v1",
        status: 202,
        error: null,
        is_ours: true,
        bad_in_a_row: 0,
        was_ok: true,
        problem: null,
      },
    ]);
    expect(await problems()).toEqual([]);
    const all = JSON.stringify(await database.sql`select to_jsonb(c) from billing.outbound_calls as c`);
    for (const secret of ["word", "hidden", "cron-secret-example", "secret body"])
      expect(all).not.toContain(secret);
    expect(await database.sql`select from billing_private.outbound_requests`).toEqual([]);
  });

  it("reads nothing and writes nothing while nothing waits", async () => {
    expect(await minuteLater()).toBe(0);
    expect(await ledger()).toEqual([]);
  });

  it.each([
    [401, true, "duebase_cron_secret in Vault and DUEBASE_CRON_SECRET"],
    [401, false, "verify_jwt = false"],
    [404, false, "supabase functions deploy duebase-deliver"],
    [405, true, "redirects"],
    [200, false, "https://<project ref>.supabase.co/functions/v1"],
    [302, false, "https://<project ref>.supabase.co/functions/v1"],
  ])("an answer of %i (ours: %s) is a problem at once, with its cure", async (status, ours, cure) => {
    await start();
    await answer(status, { ours });
    await minuteLater();
    expect(await problems()).toEqual([{ job: "deliver", problem: expect.stringContaining(cure) }]);
    expect(await ledger()).toMatchObject([
      { status, bad_in_a_row: 1, problem: expect.stringContaining(cure) },
    ]);

    // Asking once more cures nothing, and since stays.
    const [before] = await database.sql`select since from billing.job_problems`;
    await start();
    expect(await problems()).toHaveLength(1);
    expect((await database.sql`select since from billing.job_problems`)[0]).toEqual(before);
    // The right answer does.
    await answer(202, { ours: true });
    await minuteLater();
    expect(await problems()).toEqual([]);
    expect(await ledger()).toMatchObject([{ status: 202, bad_in_a_row: 0, was_ok: true, problem: null }]);
    const [row] = await database.sql`select last_bad from billing.outbound_calls`;
    expect(row?.last_bad).toContain(cure);
  });

  it.each([
    [503, { ours: false }, "does not start (503)"],
    [
      401,
      { ours: true, content: '{"error":{"code":"signature_too_old","message":"x"}}' },
      "the clocks of database and functions differ",
    ],
    [500, { ours: true }, "fails (500)"],
    [
      null,
      { timedOut: true, error: "Timeout of 2000 ms reached" },
      "did not answer (Timeout of 2000 ms reached)",
    ],
    [null, { error: "Couldn't resolve host name" }, "did not answer (Couldn't resolve host name)"],
  ])("%s %o may pass, and is a problem from the second in a row", async (status, more, said) => {
    for (const seen of [[], [{ job: "deliver", problem: expect.stringContaining(said) }]]) {
      await start();
      await answer(status, more);
      expect(await minuteLater()).toBe(1);
      expect(await problems()).toEqual(seen);
    }
    expect(await ledger()).toMatchObject([{ status, bad_in_a_row: 2, was_ok: false }]);
  });

  it("a call that pg_net never answers for is over after two minutes, and said to be after the second", async () => {
    await start();
    expect(await minuteLater()).toBe(0);
    expect(await minuteLater("1 minute")).toBe(1);
    expect(await problems()).toEqual([]);
    await start();
    expect(await minuteLater("2 minutes")).toBe(1);
    expect(await problems()).toEqual([
      { job: "deliver", problem: expect.stringContaining("net.worker_restart()") },
    ]);
  });

  it("what pg_net refuses in the calling statement is recorded, and fails nothing", async () => {
    await database.sql`select vault.update_secret(id, 'https://functions.test:port') from vault.secrets where name = 'duebase_functions_url'`;
    expect(await start()).toBe(false);
    expect(await minuteLater()).toBe(1);
    expect(await ledger()).toMatchObject([
      {
        status: null,
        error: expect.stringContaining("Port number"),
        problem: expect.stringContaining("Port number"),
      },
    ]);
  });

  it("a name that Vault lacks, and Vault itself", async () => {
    await database.sql`delete from vault.secrets where name = 'duebase_cron_secret'`;
    expect(await start()).toBe(false);
    await minuteLater();
    expect(await ledger()).toMatchObject([
      { url: null, problem: expect.stringContaining("duebase_cron_secret") },
    ]);
    // Stored, the next tick says nothing of it, before an answer is read.
    await database.sql`select vault.create_secret('cron-secret-example', 'duebase_cron_secret')`;
    expect(await start()).toBe(true);
    expect(await problems()).toEqual([]);
    const admin = database.connect({ role: "supabase_admin" });
    await admin`alter schema vault rename to elsewhere`;
    try {
      expect(await start()).toBe(false);
      expect(await problems()).toEqual([
        { job: "deliver", problem: expect.stringContaining("create extension supabase_vault") },
      ]);
    } finally {
      await admin`alter schema elsewhere rename to vault`;
    }
  });

  it("without pg_net nothing fails: it says which extension to create", async () => {
    await start();
    const admin = database.connect({ role: "supabase_admin" });
    await admin`alter schema net rename to elsewhere`;
    try {
      expect(await minuteLater("2 minutes")).toBe(1);
      expect(await start()).toBe(false);
      expect(await problems()).toEqual([
        { job: "deliver", problem: expect.stringContaining("create extension pg_net") },
      ]);
      expect(await minuteLater()).toBe(1);
      expect(await ledger()).toMatchObject([{ problem: expect.stringContaining("create extension pg_net") }]);
    } finally {
      await admin`alter schema elsewhere rename to net`;
    }
  });

  it("each job has its row", async () => {
    await start();
    await start(database.sql, "duebase-dunning");
    await answer(202, { ours: true });
    expect(await minuteLater()).toBe(2);
    expect((await ledger()).map((row) => row.job)).toEqual(["deliver", "dunning"]);
  });

  it("another address is shown by its host alone", async () => {
    const [row] = await database.sql`
      select billing_private.call_out('alarm', null, 'https://hooks.example.com/services/T0/secret', '{}', '{"text": "x"}', 2000) as problem`;
    expect(row?.problem).toBeNull();
    await answer(404);
    await minuteLater();
    expect(await ledger()).toMatchObject([
      { job: "alarm", url: "https://hooks.example.com", problem: "it answered 404: correct the address" },
    ]);
  });
});

describe("its bounds", () => {
  it("one call a minute and job is noted, however many are made", async () => {
    for (let call = 0; call < 20; call++) await start();
    expect(await database.sql`select from billing_private.outbound_requests`).toHaveLength(1);
    expect(await database.sql`select from net.http_request_queue`).toHaveLength(20);
  });

  it("where no tick reads, what is older than an hour goes", async () => {
    await database.sql`
      insert into billing_private.outbound_requests (job, asked_at, request_id)
      select 'deliver', now() - interval '2 hours', n from generate_series(1, 50) as n`;
    await start();
    expect(await database.sql`select from billing_private.outbound_requests`).toHaveLength(1);
  });

  it("nobody waits for another transaction's call", async () => {
    const other = database.connect();
    await other.begin(async (open) => {
      await start(open as unknown as typeof database.sql, "duebase-dunning");
      await open`select billing_private.call_function('duebase-deliver')`;
      await database.sql.begin(async (sql) => {
        await sql`set local lock_timeout = '200ms'`;
        const [row] = await sql`select billing_private.call_function('duebase-deliver') as problem`;
        expect(row?.problem).toBeNull();
      });
    });
    await other.end();
  });
});
