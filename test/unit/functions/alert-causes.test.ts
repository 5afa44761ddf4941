import { expect, test } from "vitest";
import { readSchemas } from "../../../scripts/local/schemas.ts";
import { alertText } from "../../../supabase/functions/duebase-deliver/effects/alert.ts";

const sql = readSchemas()
  .map((file) => file.sql)
  .join("\n");

const all = (pattern: RegExp): string[] => [...sql.matchAll(pattern)].map(([, name]) => String(name));

test("every cause the database alerts of says what it means and where to look", () => {
  const causes = new Set([
    ...all(/billing_private\.alert\(\s*'([a-z_]+)',/g),
    ...all(/'cause', '([a-z_]+)'/g),
    // The one cause that is put together: email_ and why an address is suppressed.
    ...all(/suppress_address\(email, '([a-z]+)'/g).map((reason) => `email_${reason}`),
  ]);
  expect(causes.size).toBeGreaterThanOrEqual(7);
  for (const cause of causes) expect(alertText({ cause }), cause).not.toContain("Something needs a person");
});
