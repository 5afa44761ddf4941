import { afterAll, beforeAll, expect, test } from "vitest";
import { noon, noonPlus, openPost, type Post } from "./post.ts";

// Cards and accounts of before payment methods, and cards older than the installation: no event ever tells of them.

let post: Post;
beforeAll(async () => {
  post = await openPost();
});
afterAll(() => post.close());

test.each([
  ["a card of before payment methods", "card_Old", "Payment method: Card"],
  ["a bank account of then", "ba_Old", "Payment method: Bank account"],
  ["a payment method older than the installation", "pm_Unseen", undefined],
  ["a Source", "src_Unseen", undefined],
])(
  "what is charged is %s: the mail names no more than is known, and does not ask for a card",
  async (_what, id, said) => {
    await post.reset();
    const { sql } = post.database;
    await sql`update billing.customers set default_payment_method = ${id}, preferred_locales = '{en}' where true`;
    await sql`
    select billing_private.enqueue('email', ${id}, ${sql.json({
      template: "trial-ending",
      customer: "cus_ada",
      props: {
        customerName: null,
        productName: "Studio",
        trialEnd: "2026-11-04T09:00:00Z",
        daysLeft: 3,
        price: { amount: 4900, currency: "eur", interval: "month", intervalCount: 1 },
        paymentMethod: null,
        leaving: false,
      },
    })}, ${noon})`;
    await post.deliverAt(noonPlus(1));
    const [mail] = await sql<{ text: string }[]>`select text from billing.emails`;
    const text = mail?.text ?? "";
    expect(text).toContain("Studio");
    expect(text.split("\n").find((line) => line.startsWith("Payment method:"))).toBe(said);
    expect(text).not.toMatch(/add a (card|payment method)|payment method: payment method/i);
  },
);
