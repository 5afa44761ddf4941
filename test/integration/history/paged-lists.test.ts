import fc from "fast-check";
import { expect, test } from "vitest";
import { cursorAfter, readListPage } from "../../../supabase/functions/_duebase/history/lists.ts";
import { StripeReader } from "../../../supabase/functions/_duebase/history/reader.ts";
import { connectStripe } from "../../../supabase/functions/_duebase/stripe.ts";
import { TEST_KEY } from "../../support/account/moving-in.ts";
import { startAccount } from "../../support/account/stripe-account.ts";
import "../../support/seeded-properties.ts";

// How a backfill pages through a list while objects of it are deleted, the cursor's own among them.

const histories = Number(process.env.DUEBASE_PAGED_LISTS ?? 6);

/** Customers made in each second, one second after the other; and which are deleted after each page. */
const lists = fc.record({
  madeInSecond: fc.array(fc.integer({ min: 1, max: 260 }), { minLength: 1, maxLength: 3 }),
  deletions: fc.array(
    fc.record({
      cursor: fc.boolean(),
      /** Others, as parts of all that are there. */
      others: fc.array(fc.double({ min: 0, max: 1, noNaN: true, maxExcluded: true }), { maxLength: 3 }),
    }),
    { maxLength: 12 },
  ),
});

test(`in ${histories} lists with more than a page to a second, and deletions between pages, none that stays is left out and the end is reached`, async () => {
  let ties = 0;
  let restarts = 0;
  await fc.assert(
    fc.asyncProperty(lists, async ({ madeInSecond, deletions }) => {
      const account = await startAccount();
      try {
        const alive: string[] = [];
        for (const made of madeInSecond) {
          if (made > 100) ties += 1;
          for (let n = 0; n < made; n += 1) alive.push((await account.stripe.customers.create()).id);
          await account.pass(1 / 86_400);
        }
        const reader = new StripeReader({
          call: connectStripe({ secretKey: TEST_KEY, baseUrl: account.local.url }),
          callsPerSecond: 1_000,
        });
        const seen = new Set<string>();
        let cursor: string | null = null;
        let pages = 0;
        for (let isLast = false; !isLast; ) {
          const page = await readListPage(reader, { step: "customers", path: "/v1/customers" }, cursor);
          pages += 1;
          for (const { id } of page.data) seen.add(id);
          const last = page.data.at(-1);
          isLast = !page.hasMore || last === undefined;
          cursor = last === undefined ? cursor : cursorAfter(last);
          const next = deletions[pages - 1];
          const gone =
            next === undefined ? [] : next.others.map((part) => alive[Math.floor(part * alive.length)]);
          if (next?.cursor && last !== undefined) {
            gone.push(last.id);
            restarts += 1;
          }
          for (const id of new Set(gone)) {
            if (id === undefined || !alive.includes(id)) continue;
            alive.splice(alive.indexOf(id), 1);
            await account.stripe.customers.del(id);
          }
          // Each restart reads at most the pages of its second again.
          const most = Math.max(...madeInSecond);
          const all = madeInSecond.reduce((sum, made) => sum + made, 0);
          expect(pages).toBeLessThanOrEqual(
            Math.ceil(all / 100) + 1 + deletions.length * (Math.ceil(most / 100) + 1),
          );
        }
        expect(alive.filter((id) => !seen.has(id))).toEqual([]);
      } finally {
        await account.close();
      }
    }),
    { numRuns: histories },
  );
  expect(ties, "seconds with more than a page").toBeGreaterThan(0);
  expect(restarts, "cursors that were deleted").toBeGreaterThan(0);
}, 600_000);
