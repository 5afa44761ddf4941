import { afterAll, beforeAll, beforeEach, expect, it } from "vitest";
import { noonPlus, openPost, type Post } from "./post.ts";

let post: Post;
beforeAll(async () => {
  post = await openPost();
});
beforeEach(() => post.reset());
afterAll(() => post.close());

/** What the newest mail in the inbox says to a customer of these languages, of a project with these settings. */
async function said(locales: readonly string[], project: object): Promise<string> {
  const { sql } = post.database;
  await sql`update billing.settings set ${sql({ ...project } as Record<string, string>)} where id`;
  await sql`update billing.customers set preferred_locales = ${locales} where id = 'cus_ada'`;
  await post.enqueue("paused:1", {
    props: {
      customerName: null,
      productName: "Studio",
      reason: "requested",
      pausedAt: "2026-11-01T23:30:00Z",
    },
  });
  await post.deliverAt(noonPlus(1));
  return (post.inbox.emails().at(-1)?.text ?? "").replaceAll("\u00a0", " ");
}

it.each([
  { default_locale: "en", locales: [], text: "paused since November 1, 2026" },
  { default_locale: "en-IE", locales: [], text: "paused since 1 November 2026" },
  { default_locale: "en-IE", locales: ["en"], text: "paused since 1 November 2026" },
  { default_locale: "en", locales: ["fr-FR"], text: "paused since 1 November 2026" },
  { default_locale: "de-AT", locales: ["fr-FR"], text: "pausiert seit dem 1. November 2026" },
  { default_locale: "de-AT", locales: ["en-US"], text: "paused since November 1, 2026" },
])(
  "settings of $default_locale, a customer of $locales: $text",
  async ({ default_locale, locales, text }) => {
    expect(await said(locales, { default_locale, time_zone: null })).toContain(text);
  },
);

it("dates are of the zone in settings", async () => {
  expect(await said([], { default_locale: "de", time_zone: "Europe/Berlin" })).toContain("2. November 2026");
});

it("a default that is no language tag is refused", async () => {
  await expect(
    post.database.sql`update billing.settings set default_locale = 'German, please' where id`,
  ).rejects.toMatchObject({ constraint_name: "default_locale_is_a_language_tag" });
});

it.each([
  { app_name: "Example Notes", from: "Example Notes <billing@example.com>" },
  { app_name: 'Notes, "Inc." <x>', from: "Notes Inc. x <billing@example.com>" },
])("a bare sender goes by the application's name: $from", async ({ app_name, from }) => {
  await said([], { app_name, email_from: "billing@example.com" });
  expect(post.inbox.ledger.mails[0]?.from).toBe(from);
  await post.database.sql`update billing.settings set email_from = null where id`;
});
