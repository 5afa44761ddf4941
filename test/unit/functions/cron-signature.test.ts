import { createHmac } from "node:crypto";
import { describe, expect, it } from "vitest";
import { cronCall } from "../../../scripts/local/cron-call.ts";
import { createCallerCheck } from "../../../supabase/functions/_duebase/cron-signature.ts";

const NAME = "duebase-deliver";
const secret = "cron-secret-example";
const now = Date.parse("2026-11-30T09:00:00Z");
const seconds = now / 1000;
const bytes = (text: string) => new TextEncoder().encode(text);

/** What the guard says to a call: `ok`, or code and status. */
async function verdict(
  header: string | undefined,
  { body = "{}", at = now, secrets = [secret] as readonly string[] } = {},
): Promise<string> {
  const headers = new Headers(header === undefined ? {} : { "duebase-signature": header });
  return createCallerCheck(secrets, NAME)(headers, bytes(body), at).then(
    () => "ok",
    (error: { code: string; status: number }) => `${error.code} ${error.status}`,
  );
}
const hex = (key: string, content: string) => createHmac("sha256", key).update(content).digest("hex");
const signature = (at: number, { name = NAME, body = "{}", key = secret } = {}) =>
  `t=${at},v1=${hex(key, `${at}.${name}.${body}`)}`;

describe("a call of cron's", () => {
  it("is taken with a signature of now, and again: it starts one more run", async () => {
    for (let times = 0; times < 2; times++) expect(await verdict(signature(seconds))).toBe("ok");
  });

  it("is signed so by what we call with ourselves", async () => {
    const { headers, body } = cronCall(NAME, { wait: true }, secret, now);
    expect(await verdict(headers["duebase-signature"], { body })).toBe("ok");
  });

  it.each([
    [-60, "ok"],
    [60, "ok"],
    [-61, "signature_too_old 401"],
    [61, "signature_too_new 401"],
    [-86_400, "signature_too_old 401"],
  ])("whose signature is %i seconds from our clock: %s", async (away, expected) => {
    expect(await verdict(signature(seconds + away))).toBe(expected);
  });

  it.each<[string, string | undefined]>([
    ["no signature", undefined],
    ["an empty one", ""],
    ["the secret itself", secret],
    ["the secret as a bearer token", `Bearer ${secret}`],
    ["a signature without its time", `v1=${hex(secret, `${seconds}.${NAME}.{}`)}`],
    ["two times", `t=${seconds},${signature(seconds)}`],
    ["another time than was signed", signature(seconds).replace(String(seconds), String(seconds + 1))],
    ["another secret", signature(seconds, { key: "cron-secret-examplf" })],
    ["an empty secret", signature(seconds, { key: "" })],
    ["a signature of another body", signature(seconds, { body: '{"wait":true}' })],
    ["a signature for another function", signature(seconds, { name: "duebase-dunning" })],
    ["half a signature", signature(seconds).slice(0, -32)],
    ["an old signature under another secret", signature(seconds - 3600, { key: "another" })],
  ])("is refused with 401 for %s, and told nothing of our clock", async (_what, header) => {
    expect(await verdict(header)).toBe("unauthorized 401");
  });

  it("may be signed with any of the secrets while one is rotated out", async () => {
    const secrets = ["new-cron-secret", secret];
    expect(await verdict(signature(seconds), { secrets })).toBe("ok");
    expect(await verdict(signature(seconds, { key: "new-cron-secret" }), { secrets })).toBe("ok");
    expect(await verdict(signature(seconds, { key: secrets.join(",") }), { secrets })).toBe(
      "unauthorized 401",
    );
  });
});
