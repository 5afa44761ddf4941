/**
 * A large account for a bench: the pages of a small one with a history, again and again under other ids. They are made as they are
 * asked for, so that they take no memory.
 */
import {
  BACKFILL_LISTS,
  cursorAfter,
  readListPage,
} from "../../supabase/functions/_duebase/history/lists.ts";
import {
  type Page,
  type StripeObject,
  StripeReader,
} from "../../supabase/functions/_duebase/history/reader.ts";
import {
  type CallStripe,
  connectStripe,
  type StripeRequest,
} from "../../supabase/functions/_duebase/stripe.ts";
import { startAccountWithHistory } from "../../test/support/account/stripe-account.ts";

/** What every customer shares, and so is there once. */
const SHARED = new Set(["/v1/products", "/v1/prices"]);

/** Ids of what belongs to one customer. */
const OWN_ID = /"((?:cus|sub|si|in|il|inpay|pi|ch|py|re|du|dp|cs_test|pm|txn|seti)_[A-Za-z0-9]+)"/g;

/** A list at Stripe, by what is asked for. */
type List = { pages: StripeObject[][]; asked: number };

export interface LargeAccount {
  /** How many objects all its lists have. */
  objects: number;
  /** Answers as Stripe does to a backfill, page by page: each list may be read once. */
  call: CallStripe;
}

/** Told of every page before it is answered. */
export type OnAnswer = (data: StripeObject[], asOf: number) => Promise<void>;

const listKey = ({ path, params }: StripeRequest): string => `${path} ${params?.status ?? ""}`;

/** @param objects about how many it is to have */
export async function largeAccount(objects: number, onAnswer: OnAnswer): Promise<LargeAccount> {
  const account = await startAccountWithHistory({ customers: 60, months: 12 });
  const reader = new StripeReader({
    call: connectStripe({ secretKey: "sk_test_example_bench", baseUrl: account.local.url }),
    callsPerSecond: 1_000,
  });
  const lists = new Map<string, List>();
  for (const list of BACKFILL_LISTS) {
    const pages: StripeObject[][] = [];
    let cursor: string | null = null;
    for (let isLast = false; !isLast; ) {
      const page: Page = await readListPage(reader, list, cursor);
      const last = page.data.at(-1);
      isLast = !page.hasMore || last === undefined;
      cursor = last === undefined ? cursor : cursorAfter(last);
      pages.push(page.data);
    }
    lists.set(`${list.path} ${list.params?.status ?? ""}`, { pages, asked: 0 });
  }
  const asOf = account.now().getTime();
  await account.close();

  const sizeOf = ({ pages }: List) => pages.reduce((sum, page) => sum + page.length, 0);
  const size = [...lists.values()].reduce((sum, list) => sum + sizeOf(list), 0);
  const copies = Math.max(1, Math.round(objects / size));
  const shared = [...lists].reduce((sum, [key, list]) => sum + (isShared(key) ? sizeOf(list) : 0), 0);
  return {
    objects: size * copies - shared * (copies - 1),
    call: async (request) => {
      const object = await answerTo(request, lists, copies, (data) => onAnswer(data, asOf));
      return { object, asOf };
    },
  };
}

const isShared = (key: string): boolean => SHARED.has(key.split(" ")[0] ?? "");

async function answerTo(
  request: StripeRequest,
  lists: Map<string, List>,
  copies: number,
  onAnswer: (data: StripeObject[]) => Promise<void>,
): Promise<Record<string, unknown>> {
  if (request.path === "/v1/account") return { id: "acct_example", object: "account" };
  const key = listKey(request);
  const list = lists.get(key);
  // No features, and so no entitlements; no events since.
  if (list === undefined) return { object: "list", data: [], has_more: false };
  const isTrial = request.params?.limit === "1";
  if (isTrial) return { object: "list", data: list.pages[0]?.slice(0, 1) ?? [], has_more: true };
  const total = list.pages.length * (isShared(key) ? 1 : copies);
  const at = list.asked;
  list.asked += 1;
  const data = copyOf(list.pages[at % list.pages.length] ?? [], Math.floor(at / list.pages.length));
  await onAnswer(data);
  return { object: "list", data, has_more: at + 1 < total };
}

/** The same objects of other customers. */
function copyOf(page: StripeObject[], copy: number): StripeObject[] {
  return JSON.parse(JSON.stringify(page).replaceAll(OWN_ID, `"$1x${copy}"`)) as StripeObject[];
}
