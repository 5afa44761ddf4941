import { afterAll, beforeAll, expect, it } from "vitest";
import type { FaultAction } from "../../../scripts/local/inbox/http/faults.ts";
import { type Inbox, startInbox } from "../../../scripts/local/inbox/server.ts";
import { SEED } from "../../support/seed.ts";
import { Random } from "../../support/simulation/random.ts";
import { noonPlus, openPost, type Post } from "./post.ts";

const MAILS = 200;
/** Of Resend, a second; deliver keeps a little below. */
const LIMIT = 40;
const INTERVAL_MS = 1000 / (LIMIT - 5);
const minute = (n: number) => noonPlus(n * 60);

let post: Post;
let resend: Inbox;
let clock = minute(0);
beforeAll(async () => {
  post = await openPost();
  await post.reset();
  resend = await startInbox({
    port: 0,
    mailbox: false,
    ratePerSecond: LIMIT,
    now: () => clock,
    // Within a tick real time, in which requests are paced; between two ticks the minute that lies there.
    elapsed: () => performance.now() + clock.getTime() - noonPlus(0).getTime(),
  });
  console.log(`an hour without Resend: DUEBASE_SEED=${SEED}`);
});
afterAll(async () => {
  await resend.close();
  await post.close();
});

/** One minute's tick. Claims are small, so that there are many requests to be paced. */
async function tick(n: number) {
  clock = minute(n);
  return post.deliverAt(minute(n), {
    resend: { url: resend.apiUrl, timeoutMs: 500 },
    budget: { claimLimit: 4, sendIntervalMs: INTERVAL_MS },
  });
}
/** Keys of what is due, in the order it falls due. */
async function due(n: number): Promise<string[]> {
  const rows = await post.database.sql<{ dedupe_key: string }[]>`
    select dedupe_key from billing.outbox
    where status = 'pending' and kind = 'email' and run_after <= ${minute(n)} order by run_after, id
  `;
  return rows.map(({ dedupe_key }) => dedupe_key);
}
/** What is kept of each mail: its key, and its batch where it has one. */
async function keptByTag(): Promise<Map<string | undefined, { key: string; batch: string | null }>> {
  const rows = await post.database.sql<{ tag: string; key: string; batch: string | null }[]>`
    select tag, dedupe_key as key, batch_id as batch from billing.emails
  `;
  return new Map(rows.map(({ tag, key, batch }) => [tag, { key, batch }]));
}

it("Resend is down for an hour and comes back: everything goes out, in its order, within the limit, once", {
  timeout: 120_000,
}, async () => {
  const random = new Random(SEED);
  const ways: FaultAction[] = [
    { kind: "error", status: 500 },
    { kind: "error", status: 503, headers: { "retry-after": "120" } },
    { kind: "reset" },
    { kind: "reset-after-effect" },
    { kind: "error-after-effect", status: 502 },
  ];
  await post.enqueue("outage", { count: MAILS });
  for (let n = 1; n <= 60; n++) {
    for (let request = 0; request < 5; request++) {
      resend.faults.add({ action: random.pick(ways) });
    }
    const { counts } = await tick(n);
    expect(counts.delivered).toBe(0);
    expect(counts.failed).toBeLessThanOrEqual(12);
  }

  resend.faults.clear();
  const takenInTheOutage = new Set(resend.ledger.mails.map(({ tags }) => tags.duebase_email));
  for (let n = 61; (await post.states()).some(({ status }) => status === "pending"); n++) {
    expect(n, "minutes until everything is out").toBeLessThan(60 * 3);
    const expected = await due(n);
    const before = resend.ledger.mails.length;
    await tick(n);
    const kept = await keptByTag();
    const sent = resend.ledger.mails.slice(before).map(({ tags }) => kept.get(tags.duebase_email));
    // A batch goes again whole, as it went before, when the first of its mails is due: some of it was handed back for later.
    const firstDue = new Map<string, number>();
    for (const mail of sent) {
      if (mail === undefined) throw new Error("a mail was sent that is not kept");
      const [one, place] = [mail.batch ?? mail.key, expected.indexOf(mail.key)];
      firstDue.set(one, Math.min(place, firstDue.get(one) ?? place));
    }
    const order = [...firstDue.values()];
    expect(order).toEqual([...order].sort((a, b) => a - b));
  }

  expect(takenInTheOutage.size).toBeGreaterThan(0);
  expect(new Set((await post.states()).map(({ status }) => status))).toEqual(new Set(["delivered"]));
  expect(resend.ledger.mails).toHaveLength(MAILS);
  expect(new Set(resend.ledger.mails.map(({ tags }) => tags.duebase_email)).size).toBe(MAILS);
  expect(resend.ledger.requestsWhere({ status: 429 })).toEqual([]);
});
