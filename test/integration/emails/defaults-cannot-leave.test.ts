import { afterAll, beforeAll, beforeEach, expect, it } from "vitest";
import { noonPlus, openPost, type Post } from "./post.ts";

let post: Post;
beforeAll(async () => {
  post = await openPost();
});
let before = 0;
beforeEach(async () => {
  await post.reset();
  before = post.inbox.emails().length;
});
afterAll(() => post.close());

const OWN = { app_name: "Studio", app_url: "https://studio.example.com", billing_url: null };

/** What stands in the way of mail, and how many mails have left. */
async function outcome(seconds: number): Promise<{ problem: string | undefined; left: number }> {
  await post.deliverAt(noonPlus(seconds));
  const [row] = await post.database.sql<{ problem: string }[]>`
    select problem from billing.job_problems where job = 'email'`;
  return { problem: row?.problem, left: post.inbox.emails().length - before };
}

async function updateSettings(values: Record<string, unknown>): Promise<void> {
  const { sql } = post.database;
  await sql`update billing.settings set ${sql(values as Record<string, string>)} where id`;
}

it.each([
  { what: "the default name", wrong: { app_name: "Example App" }, says: /^app_name .* Example App/ },
  { what: "the default URL", wrong: { app_url: "http://localhost:3000" }, says: /^app_url .*localhost/ },
  { what: "a page of this machine", wrong: { billing_url: "http://127.0.0.1/pay" }, says: /^billing_url / },
])("in live mode no mail leaves under $what, and it leaves once that is mended", async ({ wrong, says }) => {
  await updateSettings({ ...OWN, livemode: true, ...wrong });
  await post.enqueue("paused:1");
  expect(await outcome(1)).toEqual({ problem: expect.stringMatching(says), left: 0 });
  await updateSettings(OWN);
  expect(await outcome(3600)).toEqual({ problem: undefined, left: 1 });
  const [effect] = await post.database.sql`select status, attempts from billing.outbox where kind = 'email'`;
  expect(effect).toMatchObject({ status: "delivered", attempts: 1 });
});

it("in test mode it does: that is where people try it", async () => {
  await updateSettings({
    app_name: "Example App",
    app_url: "http://localhost:3000",
    billing_url: null,
    livemode: false,
  });
  await post.enqueue("paused:1");
  expect(await outcome(1)).toEqual({ problem: undefined, left: 1 });
});
