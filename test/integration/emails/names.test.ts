import { afterAll, beforeAll, expect, test } from "vitest";
import { openPost, type Post } from "./post.ts";

// Whoever signs up chooses a name, and may give somebody else's address with it.

let post: Post;
beforeAll(async () => {
  post = await openPost();
});
afterAll(() => post.close());

test.each([
  ["Ada Lovelace", "Ada Lovelace"],
  ["Ada\nBcc: everybody@example.com", null],
  ["Ada\r\n\tLovelace \u0007", "Ada Lovelace"],
  ["\u202eecalevoL adA", "ecalevoL adA"],
  ["Ada\u200b\u2066\ufeff", "Ada"],
  ["You won! https://evil.example/prize", null],
  ["see www.evil.example", null],
  ["prize.evil.example waits", null],
  ["J. R. R. Tolkien", "J. R. R. Tolkien"],
  ["Ada O'Neill-Łęcka (عائشة)", "Ada O'Neill-Łęcka (عائشة)"],
  ["   ", null],
  [`Ada ${"x".repeat(200)}`, `Ada ${"x".repeat(76)}`],
])("a customer called %j is greeted as %j", async (name, greeted) => {
  const [row] = await post.database.sql`
    select billing_private.fill_email_props(jsonb_build_object('props', jsonb_build_object('customerName', ${name}::text))) as props`;
  expect(row?.props).toEqual({ customerName: greeted });
});

test("markup in names is text in the mail's HTML, and its subject is one line", async () => {
  await post.reset();
  const { sql } = post.database;
  await sql`update billing.customers set name = '<img src=x onerror=alert(1)> & <b>Ada</b>', preferred_locales = '{en}'`;
  await sql`insert into billing.products (id, name) values ('prod_markup', ${'<a href="x">Team</a>\r\nBcc: all\u202e'})`;
  await sql`
    insert into billing.subscription_items (id, subscription, product) values ('si_markup', 'sub_markup', 'prod_markup')`;
  await sql`
    select billing_private.enqueue('email', 'markup', ${sql.json({
      template: "subscription-paused",
      customer: "cus_ada",
      subscription: "sub_markup",
      props: { customerName: null, productName: null, reason: "requested", pausedAt: "2026-11-01T11:00:00Z" },
    })}, ${new Date("2026-11-01T12:00:00Z")})`;
  await post.deliverAt(new Date("2026-11-01T12:00:01Z"));
  const [mail] = await sql`select subject, html, text from billing.emails`;
  expect(mail?.html).not.toMatch(/<img[^>]*onerror|<b>Ada|<a href="x">/);
  expect(mail?.html).toContain("&lt;b&gt;Ada&lt;/b&gt;");
  // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what must not be there
  expect(`${mail?.subject}`).not.toMatch(/[\u0000-\u001f\u202e]/);
  expect(`${mail?.text}`).not.toMatch(/[\r\u202e]|^Bcc/m);
});
