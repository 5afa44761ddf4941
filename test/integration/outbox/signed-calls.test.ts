import { createHmac } from "node:crypto";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { createCallerCheck } from "../../../supabase/functions/_duebase/cron-signature.ts";
import { createTestDatabase, type TestDatabase } from "../../support/database.ts";

let database: TestDatabase;
beforeAll(async () => {
  database = await createTestDatabase();
  await database.sql`select vault.create_secret('http://functions.test/functions/v1/', 'duebase_functions_url')`;
});
afterAll(() => database.drop());

describe("the database's HMAC-SHA-256", () => {
  // https://www.rfc-editor.org/rfc/rfc4231, cases 1, 2 and 6: a short key, a shorter one, one longer than a block.
  it.each([
    ["0b".repeat(20), "4869205468657265", "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7"],
    [
      "4a656665",
      "7768617420646f2079612077616e7420666f72206e6f7468696e673f",
      "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843",
    ],
    [
      "aa".repeat(131),
      "54657374205573696e67204c6172676572205468616e20426c6f636b2d53697a65204b6579202d2048617368204b6579204669727374",
      "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54",
    ],
  ])("is that of RFC 4231 for key %s", async (key, message, expected) => {
    const [row] = await database.sql`
      select encode(billing_private.hmac_sha256(decode(${key}, 'hex'), decode(${message}, 'hex')), 'hex') as mac`;
    expect(row?.mac).toBe(expected);
  });

  it.each([1, 32, 63, 64, 65, 200])("is Node's for a key of %i bytes", async (length) => {
    const key = Buffer.from(Array.from({ length }, (_, index) => (index * 37 + 11) % 256));
    const message = Buffer.from("1764493200.duebase-deliver.{}");
    const [row] = await database.sql`
      select encode(billing_private.hmac_sha256(${key}, ${message}), 'hex') as mac`;
    expect(row?.mac).toBe(createHmac("sha256", key).update(message).digest("hex"));
  });
});

describe("a call of the database's", () => {
  it.each([
    "cron-secret-example",
    "größer als ASCII, and longer than one block of the hash is: 64 bytes of it",
  ])("carries a signature that the function takes, and never the secret: %s", async (secret) => {
    await database.sql`delete from vault.secrets where name = 'duebase_cron_secret'`;
    await database.sql`select vault.create_secret(${secret}, 'duebase_cron_secret')`;
    for (const name of ["duebase-deliver", "duebase-dunning", "duebase-reconcile"]) {
      await database.sql`delete from net.http_request_queue`;
      expect(await database.sql`select billing_private.call_function(${name}) as problem`).toEqual([
        { problem: null },
      ]);
      const [call] = await database.sql<
        { headers: Record<string, string>; body: Buffer; whole: string }[]
      >`select headers, body, to_jsonb(q)::text || convert_from(body, 'UTF8') as whole from net.http_request_queue as q`;
      if (!call) throw new Error("nothing was called");
      expect(Object.keys(call.headers).sort()).toEqual(["content-type", "duebase-signature"]);
      expect(call.whole).not.toContain(secret);
      const check = createCallerCheck(["another-secret", secret], name);
      await check(new Headers(call.headers), call.body, Date.now());
      await expect(check(new Headers(call.headers), call.body, Date.now() + 62_000)).rejects.toMatchObject({
        code: "signature_too_old",
      });
    }
  });

  it("costs little beside the rest of it", async () => {
    const [row] = await database.sql`
      with began as materialized (select clock_timestamp() as at),
      signed as materialized (
        select count(billing_private.sign_call('cron-secret-example-' || n, 'duebase-deliver', '{}', now())) as times
        from began, generate_series(1, 200) as n
      )
      select extract(epoch from clock_timestamp() - b.at) * 1000 / s.times as milliseconds from began as b, signed as s`;
    expect(Number(row?.milliseconds)).toBeLessThan(2);
  });
});
