import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { noon, noonPlus, openPost, type Post } from "./post.ts";

// However many invoices somebody owes, the mail leaves: with the oldest, how many more there are, and what all come to.

let post: Post;
beforeAll(async () => {
  post = await openPost();
});
beforeEach(() => post.reset());
afterAll(() => post.close());

/** Somebody with that many invoices of 1.00 each, the first overdue for a day; their notice is taken and sent. */
async function noticeAbout(count: number, language: string): Promise<string> {
  const { sql } = post.database;
  const customer = `cus_${language}_${count}`;
  await sql`
    insert into billing.customers (id, email, name, preferred_locales, created)
    values (${customer}, ${`${customer}@example.com`}, 'Grace', array[${language}], ${noon})`;
  await sql`
    insert into billing.invoices
      (id, customer, number, status, collection_method, billing_reason, currency, amount_due, amount_paid, amount_remaining, attempt_count,
       first_payment_failed_at, created)
    select format('in_%s_%s', ${customer}::text, n), ${customer}, format('EX-%s', 1000 + n), 'open', 'charge_automatically', 'manual', 'eur',
      100, 0, 100, 1, ${noon}::timestamptz - interval '1 day' + n * interval '1 second', ${noon}
    from generate_series(1, ${count}::int) as n`;
  await sql`select billing_private.open_dunning_cases(${customer}, ${noon})`;
  const invoices = await sql<{ id: string }[]>`select id from billing.invoices where customer = ${customer}`;
  const checked = [customer, ...invoices.map(({ id }) => id)];
  const [row] = await post.database.asService(
    (service) => service`select billing.take_dunning_steps(${customer}, ${checked}, ${noon}) as took`,
  );
  expect(row?.took).toMatchObject({ mails: 1 });
  await sql`update billing.outbox set status = 'canceled', finished_at = now() where kind <> 'email'`;
  await post.deliverAt(noonPlus(60));
  expect(await post.states()).toContainEqual(expect.objectContaining({ status: "delivered", problem: null }));
  const [mail, ...others] = post.inbox.emails().filter(({ to }) => to.includes(`${customer}@example.com`));
  expect(others).toEqual([]);
  return String(mail?.text).replaceAll("\u00a0", " ");
}

const listedIn = (text: string) => text.match(/EX-\d+/g) ?? [];
const oldest = (count: number) => Array.from({ length: count }, (_, index) => `EX-${1001 + index}`);

describe.each([
  ["en", (more: number) => `And ${more} more`, (total: string) => `€${total}.00`],
  ["de", (more: number) => `Und ${more} weitere`, (total: string) => `${total},00 €`],
] as const)("in %s", (language, and, money) => {
  it.each([21, 60, 400])("%i overdue invoices: one mail", async (count) => {
    const text = await noticeAbout(count, language);
    expect(listedIn(text)).toEqual(oldest(20));
    expect(text).toContain(and(count - 20));
    expect(text).toContain(money(String(count)));
  });

  it("20 are all listed, and nothing is said of more", async () => {
    const text = await noticeAbout(20, language);
    expect(listedIn(text)).toEqual(oldest(20));
    expect(text).not.toMatch(/\b(And|Und) \d+ (more|weitere)/);
    expect(text).toContain(money("20"));
  });
});
