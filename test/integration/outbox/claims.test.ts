import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { createTestDatabase, type TestDatabase } from "../../support/database.ts";
import { claim, enqueue, noon, noonPlus } from "./effects.ts";

let database: TestDatabase;
beforeAll(async () => {
  database = await createTestDatabase();
});
beforeEach(async () => {
  await database.sql`truncate billing.outbox`;
});
afterAll(() => database.drop());

describe("a claim", () => {
  it("takes what is due, earliest first, and leaves the rest", async () => {
    await enqueue(database.sql, "due", 5);
    const claimed = await claim(database.sql, { now: noonPlus(2) });
    expect(claimed.map((effect) => effect.dedupe_key)).toEqual(["due:0", "due:1", "due:2"]);
  });

  it("holds its rows against every other worker until the lease ends", async () => {
    await enqueue(database.sql, "leased", 3);
    const [first] = await claim(database.sql, { now: noonPlus(60), lease: 120 });
    expect(await claim(database.sql, { now: noonPlus(179) })).toEqual([]);
    const again = await claim(database.sql, { now: noonPlus(180) });
    expect(again).toHaveLength(3);
    expect(again[0]?.claim_id).not.toBe(first?.claim_id);
    expect(again[0]?.attempts).toBe(2);
  });

  it("can be limited to some kinds", async () => {
    await enqueue(database.sql, "a", 2, "email");
    await enqueue(database.sql, "b", 2, "refresh");
    const claimed = await database.sql`
      select kind from billing.claim_outbox('test', 50, '2 minutes', ${["refresh"]}, ${noonPlus(60)})
    `;
    expect(claimed.map(({ kind }) => kind)).toEqual(["refresh", "refresh"]);
  });

  it("is shared out between workers at the same moment without one row twice or forgotten", async () => {
    await enqueue(database.sql, "many", 500);
    const workers = database.connect({ connections: 10 });
    const seen: string[] = [];
    await Promise.all(
      Array.from({ length: 10 }, async () => {
        for (;;) {
          const claimed = await claim(workers, { limit: 20 });
          if (claimed.length === 0) return;
          seen.push(...claimed.map(({ id }) => id));
          for (const { id, claim_id } of claimed) {
            await workers`select billing.complete_outbox(${id}, ${claim_id})`;
          }
        }
      }),
    );
    expect(seen).toHaveLength(500);
    expect(new Set(seen).size).toBe(500);
    const [left] = await database.sql`select count(*)::int from billing.outbox where status <> 'delivered'`;
    expect(left?.count).toBe(0);
  });

  it.each([
    ["no worker", "", 10, "1 minute"],
    ["no rows", "w", 0, "1 minute"],
    ["too many rows", "w", 501, "1 minute"],
    ["no lease to speak of", "w", 10, "1 second"],
    ["a lease of days", "w", 10, "2 days"],
  ])("of %s is refused with a hint", async (_what, worker, limit, lease) => {
    await expect(
      database.sql`select * from billing.claim_outbox(${worker}, ${limit}, ${lease}::interval)`,
    ).rejects.toMatchObject({ code: "DU007", hint: expect.stringContaining("lease") });
  });
});

describe("a worker that lost its lease", () => {
  it("comes back and changes nothing, whatever it says", async () => {
    await enqueue(database.sql, "lost", 1);
    const [mine] = await claim(database.sql, { now: noonPlus(0), lease: 10 });
    const [theirs] = await claim(database.sql, { now: noonPlus(60) });
    if (!mine || !theirs) throw new Error("nothing was claimed");
    const before = await database.sql`select * from billing.outbox`;

    const [said] = await database.sql`
      select
        billing.complete_outbox(${mine.id}, ${mine.claim_id}) as completed,
        billing.fail_outbox(${mine.id}, ${mine.claim_id}, '{"message": "late"}') as failed,
        billing.release_outbox(array[${mine.id}::bigint], ${mine.claim_id}) as released
    `;
    expect(said).toEqual({ completed: false, failed: "lost", released: 0 });
    expect(await database.sql`select * from billing.outbox`).toEqual(before);

    const [done] =
      await database.sql`select billing.complete_outbox(${theirs.id}, ${theirs.claim_id}) as completed`;
    expect(done?.completed).toBe(true);
  });

  it("whose lease ended without another claim may still complete", async () => {
    await enqueue(database.sql, "late", 1);
    const [mine] = await claim(database.sql, { now: noonPlus(0), lease: 10 });
    const [done] = await database.sql`
      select billing.complete_outbox(${mine?.id ?? 0}, ${mine?.claim_id ?? null}, ${noonPlus(500)}) as completed
    `;
    expect(done?.completed).toBe(true);
  });

  it("costs a try of what it may have begun, and of nothing behind it; of mails, which go together, of each", async () => {
    const triesOf = async (kind: string) =>
      (
        await database.sql<{ tries: number }[]>`
          select attempts - excused_attempts as tries from billing.outbox where kind = ${kind} order by id`
      ).map(({ tries }) => tries);
    await enqueue(database.sql, "call", 3, "stripe");
    await enqueue(database.sql, "mail", 2, "email");
    const [first] = await claim(database.sql, { now: noonPlus(60), lease: 10 });
    await database.sql`select billing.complete_outbox(${first?.id ?? 0}, ${first?.claim_id ?? null}, ${noonPlus(61)})`;
    // It ends there. The next one holds them all too, and ends as well.
    expect(await claim(database.sql, { now: noonPlus(120), lease: 10 })).toHaveLength(4);
    expect(await claim(database.sql, { now: noonPlus(180) })).toHaveLength(4);
    expect(await triesOf("stripe")).toEqual([1, 3, 1]);
    expect(await triesOf("email")).toEqual([3, 3]);
  });

  it("never kills what was never begun, however often the worker is lost", async () => {
    await enqueue(database.sql, "call", 3, "stripe");
    const most = 15;
    for (let run = 0; run <= most; run++)
      await claim(database.sql, { now: noonPlus(60 + run * 60), lease: 10 });
    const rows =
      await database.sql`select status, attempts - excused_attempts as tries from billing.outbox where kind = 'stripe' order by id`;
    expect(rows).toEqual([
      { status: "dead", tries: most },
      { status: "claimed", tries: 1 },
      { status: "claimed", tries: 1 },
    ]);
  });

  it("at its last try leaves a dead row with the cause and an alert", async () => {
    await enqueue(database.sql, "gone", 1);
    await database.sql`update billing.outbox set attempts = billing_private.max_attempts() - 1`;
    expect(await claim(database.sql, { now: noonPlus(0), lease: 10 })).toHaveLength(1);
    expect(await claim(database.sql, { now: noonPlus(60) })).toEqual([]);
    const rows =
      await database.sql`select kind, status, last_error ->> 'code' as cause from billing.outbox order by id`;
    expect(rows).toEqual([
      { kind: "stripe", status: "dead", cause: "worker_lost" },
      { kind: "alert", status: "pending", cause: null },
    ]);
  });
});

describe("a failed try", () => {
  async function failOnce(retryAfter: string | null, isFinal = false, now = noonPlus(60)) {
    const [claimed] = await claim(database.sql, { now, limit: 1 });
    const [outcome] = await database.sql`
      select billing.fail_outbox(
        ${claimed?.id ?? 0}, ${claimed?.claim_id ?? null}, '{"message": "no luck"}', ${retryAfter}::interval, ${isFinal}, ${now}
      ) as status
    `;
    return { id: claimed?.id ?? "0", status: outcome?.status as string };
  }
  async function waitOf(id: string, since: Date): Promise<number> {
    const [row] = await database.sql<
      { run_after: Date }[]
    >`select run_after from billing.outbox where id = ${id}`;
    return ((row?.run_after.getTime() ?? 0) - since.getTime()) / 1000;
  }

  it("is tried again after a delay that doubles, with jitter, up to an hour", async () => {
    await enqueue(database.sql, "backoff", 1);
    let now = noonPlus(0);
    const waits: number[] = [];
    for (let attempt = 1; attempt <= 9; attempt++) {
      const { id } = await failOnce(null, false, now);
      const wait = await waitOf(id, now);
      waits.push(wait);
      const base = Math.min(30 * 2 ** (attempt - 1), 3600);
      expect(wait).toBeGreaterThanOrEqual(base);
      expect(wait).toBeLessThanOrEqual(base * 1.2);
      now = new Date(now.getTime() + wait * 1000 + 1);
    }
    expect(waits.some((wait, index) => wait !== Math.min(30 * 2 ** index, 3600))).toBe(true);
  });

  it("waits as long as the other side asked, and no longer than a day", async () => {
    await enqueue(database.sql, "asked", 1);
    const polite = await failOnce("90 seconds");
    expect(await waitOf(polite.id, noonPlus(60))).toBeGreaterThanOrEqual(90);
    expect(await waitOf(polite.id, noonPlus(60))).toBeLessThanOrEqual(95);
    const absurd = await failOnce("400 days", false, noonPlus(3600));
    expect(await waitOf(absurd.id, noonPlus(3600))).toBeLessThanOrEqual(86_400 * 1.05);
  });

  it("dies with its cause after the last attempt, and one alert an hour is enqueued", async () => {
    await enqueue(database.sql, "poison", 3);
    await database.sql`update billing.outbox set attempts = billing_private.max_attempts() - 1`;
    for (let n = 0; n < 3; n++) expect((await failOnce(null)).status).toBe("dead");
    const dead =
      await database.sql`select status, last_error ->> 'message' as cause from billing.outbox where kind = 'stripe'`;
    expect(dead).toEqual(Array(3).fill({ status: "dead", cause: "no luck" }));
    const alerts = await database.sql`select dedupe_key from billing.outbox where kind = 'alert'`;
    expect(alerts).toEqual([{ dedupe_key: "alert:dead_effect:2026-11-01T12Z" }]);
  });

  it("that can never succeed dies at once", async () => {
    await enqueue(database.sql, "final", 1);
    expect((await failOnce(null, true)).status).toBe("dead");
  });

  it("of an alert enqueues no alert", async () => {
    await enqueue(database.sql, "silent", 1, "alert");
    await failOnce(null, true);
    expect(await database.sql`select kind from billing.outbox`).toHaveLength(1);
  });
});

describe("what a worker hands back", () => {
  it("is due at once, in its old order, and has lost no attempt", async () => {
    await enqueue(database.sql, "back", 3);
    const claimed = await claim(database.sql, { now: noonPlus(60) });
    const [handed] = await database.sql`
      select billing.release_outbox(${claimed.map(({ id }) => id)}::bigint[], ${claimed[0]?.claim_id ?? null}) as released
    `;
    expect(handed?.released).toBe(3);
    const again = await claim(database.sql, { now: noonPlus(60) });
    expect(again.map(({ dedupe_key, attempts }) => [dedupe_key, attempts])).toEqual([
      ["back:0", 1],
      ["back:1", 1],
      ["back:2", 1],
    ]);
  });

  it("may be put off", async () => {
    await enqueue(database.sql, "later", 1);
    const [claimed] = await claim(database.sql, { now: noonPlus(60) });
    await database.sql`
      select billing.release_outbox(array[${claimed?.id ?? 0}::bigint], ${claimed?.claim_id ?? null}, '30 seconds', ${noonPlus(60)})
    `;
    expect(await claim(database.sql, { now: noonPlus(89) })).toEqual([]);
    expect(await claim(database.sql, { now: noonPlus(90) })).toHaveLength(1);
  });
});

describe("a dead effect", () => {
  it("is enqueued again with all its tries when a person says so, any number of times", async () => {
    await enqueue(database.sql, "revived", 1);
    const [claimed] = await claim(database.sql, { now: noon });
    const id = claimed?.id ?? "0";
    await database.sql`select billing.fail_outbox(${id}, ${claimed?.claim_id ?? null}, '{}', null, true, ${noon})`;
    for (let times = 0; times < 2; times++) {
      const [answer] = await database.sql`select billing.replay_outbox(${id}, ${noonPlus(5)}) as status`;
      expect(answer?.status).toBe("pending");
    }
    const again = (await claim(database.sql, { now: noonPlus(5) })).find(({ kind }) => kind !== "alert");
    expect(again).toMatchObject({ id, attempts: 2, excused_attempts: 1, dedupe_key: "revived:0" });
    const audited =
      await database.sql`select subject_id from billing.audit_events where action = 'effect.replayed'`;
    expect(audited).toEqual([{ subject_id: "revived:0" }]);
  });

  it("that was delivered is left alone, and one that never was is an error", async () => {
    await enqueue(database.sql, "done", 1);
    const [claimed] = await claim(database.sql, { now: noon });
    await database.sql`select billing.complete_outbox(${claimed?.id ?? 0}, ${claimed?.claim_id ?? null})`;
    const [answer] = await database.sql`select billing.replay_outbox(${claimed?.id ?? 0}) as status`;
    expect(answer?.status).toBe("delivered");
    await expect(database.sql`select billing.replay_outbox(-1)`).rejects.toMatchObject({ code: "DU006" });
  });
});

it("what finished long ago is removed, the dead are kept", async () => {
  await enqueue(database.sql, "old", 4);
  await database.sql`
    update billing.outbox
    set status = (array['delivered', 'canceled', 'dead', 'delivered'])[1 + split_part(dedupe_key, ':', 2)::int],
        finished_at = case when dedupe_key = 'old:3' then ${noonPlus(0)}::timestamptz else ${noonPlus(0)}::timestamptz - interval '91 days' end
  `;
  const [purged] = await database.sql`select billing_private.purge_outbox(${noonPlus(0)}) as rows`;
  expect(purged?.rows).toBe(2);
  const left = await database.sql`select status from billing.outbox order by id`;
  expect(left).toEqual([{ status: "dead" }, { status: "delivered" }]);
});

it("a claim among a hundred thousand finished rows goes through the index of what is due", async () => {
  await database.sql`
    insert into billing.outbox (kind, dedupe_key, run_after, created_at)
    select 'alert', 'due:' || n, ${noon}, ${noon} from generate_series(1, 5000) as n
  `;
  await database.sql`
    insert into billing.outbox (kind, dedupe_key, status, run_after, created_at, finished_at)
    select 'alert', 'finished:' || n, 'delivered', ${noon}, ${noon}, ${noon} from generate_series(1, 100000) as n
  `;
  await database.sql`analyze billing.outbox`;
  const plan = await database.sql.begin(async (sql) => {
    // As the function does.
    await sql`set local enable_seqscan = off`;
    return sql`
      explain (format text)
      select o.id from billing.outbox as o
      where o.status in ('pending', 'claimed') and coalesce(o.locked_until, o.run_after) <= ${noonPlus(60)}
      order by coalesce(o.locked_until, o.run_after), o.id limit 50 for update skip locked
    `;
  });
  const text = plan.map((line) => line["QUERY PLAN"]).join("\n");
  expect(text, text).toContain("outbox_due");
  expect(text, text).not.toContain("Seq Scan");
});
