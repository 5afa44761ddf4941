import { resolve } from "node:path";
import { pathToFileURL } from "node:url";
import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { answers, type FakeDataApi, startFakeDataApi } from "./fake-data-api.ts";
import { runInDeno, type ServedFunction, serve } from "./served-function.ts";
import { exampleEvent, SECRET, signatureOf } from "./signed-requests.ts";

const SECRET_KEY = "sb_secret_example_canary";
const OLD_SECRET = "whsec_example_old";

let dataApi: FakeDataApi;
const environment = () => ({
  SUPABASE_URL: dataApi.url,
  SUPABASE_SECRET_KEYS: JSON.stringify({ default: SECRET_KEY }),
  DUEBASE_STRIPE_WEBHOOK_SECRET: `${OLD_SECRET},${SECRET}`,
});

beforeAll(async () => {
  dataApi = await startFakeDataApi();
});
afterAll(() => dataApi.close());

describe("duebase-stripe-webhook started without a setting", () => {
  it.each([
    ["SUPABASE_URL", ""],
    ["SUPABASE_SECRET_KEYS", " "],
    ["DUEBASE_STRIPE_WEBHOOK_SECRET", ""],
    ["DUEBASE_STRIPE_WEBHOOK_SECRET", " , "],
  ])("%s (%j) refuses to serve and says which", { timeout: 30_000 }, async (name, blank) => {
    const ended = await serve("duebase-stripe-webhook", { ...environment(), [name]: blank });
    if ("stop" in ended) await ended.stop();
    expect(ended).toMatchObject({ code: 1, output: expect.stringContaining(`Missing ${name}`) });
    expect(ended).not.toMatchObject({ output: expect.stringMatching(/canary|whsec_example/) });
  });
});

describe("duebase-stripe-webhook served by Deno", () => {
  let served: ServedFunction;

  beforeAll(async () => {
    const started = await serve("duebase-stripe-webhook", environment());
    if (!("stop" in started)) throw new Error(started.output);
    served = started;
  }, 30_000);
  afterAll(() => served.stop());
  beforeEach(() => dataApi.behave(answers));

  const now = () => Math.floor(Date.now() / 1000);
  const post = (payload: string, header = signatureOf(payload, { timestamp: now() })) =>
    fetch(served.url, { method: "POST", headers: { "stripe-signature": header }, body: payload });

  it("stores a signed event and answers with its outcome", async () => {
    const event = exampleEvent({ id: "evt_deno", note: "Žofie 😀" });
    const response = await post(JSON.stringify(event));
    expect([response.status, await response.json()]).toEqual([200, { received: true, outcome: "processed" }]);
    expect(dataApi.stored.get("evt_deno")).toEqual(event);
    expect(dataApi.calls.at(-1)?.headers).toMatchObject({ apikey: SECRET_KEY, "content-profile": "billing" });
  });

  it("accepts the secret that is being rotated out", async () => {
    const payload = JSON.stringify(exampleEvent({ id: "evt_deno_old" }));
    const response = await post(payload, signatureOf(payload, { secret: OLD_SECRET, timestamp: now() }));
    expect(response.status).toBe(200);
  });

  it("stores a burst of one event once, and answers each with 200", async () => {
    const payload = JSON.stringify(exampleEvent({ id: "evt_deno_burst" }));
    const outcomes = await Promise.all(
      Array.from({ length: 100 }, async () => (await (await post(payload)).json()) as { outcome: string }),
    );
    expect(outcomes.filter(({ outcome }) => outcome === "processed")).toHaveLength(1);
    expect(outcomes.filter(({ outcome }) => outcome === "duplicate")).toHaveLength(99);
  });

  it("answers a forged one with 400 and calls nobody", async () => {
    const before = dataApi.calls.length;
    const response = await post("{}", `t=${now()},v1=${"0".repeat(64)}`);
    expect(response.status).toBe(400);
    expect(dataApi.calls).toHaveLength(before);
  });

  it.each(["GET", "HEAD", "OPTIONS"])("answers %s with 405", async (method) => {
    const response = await fetch(served.url, { method });
    expect([response.status, response.headers.get("allow")]).toEqual([405, "POST"]);
  });

  it("answers a body over 1 MiB with 413, its length declared or not", async () => {
    const piece = new Uint8Array(64 * 1024);
    let left = 32;
    const chunked = new ReadableStream({
      pull: (controller) => (left-- > 0 ? controller.enqueue(piece) : controller.close()),
    });
    const init: RequestInit & { duplex: "half" } = { method: "POST", body: chunked, duplex: "half" };
    expect((await fetch(served.url, { method: "POST", body: "x".repeat(2 * 1024 * 1024) })).status).toBe(413);
    expect((await fetch(served.url, init)).status).toBe(413);
  });

  it("answers 503 when the connection to the database is cut, and 200 when it is back", async () => {
    const payload = JSON.stringify(exampleEvent({ id: "evt_deno_cut" }));
    dataApi.behave((_call, response) => response.socket?.destroy());
    const cut = await post(payload);
    expect([cut.status, cut.headers.get("retry-after")]).toEqual([503, expect.stringMatching(/^\d+$/)]);
    dataApi.behave(answers);
    expect((await post(payload)).status).toBe(200);
  });

  it("answers 503 when the Data API redirects, and never sends the key there", async () => {
    const elsewhere = await startFakeDataApi();
    dataApi.behave((_call, response) => response.writeHead(307, { location: elsewhere.url }).end());
    expect((await post(JSON.stringify(exampleEvent({ id: "evt_deno_redirect" })))).status).toBe(503);
    expect(elsewhere.calls).toEqual([]);
    await elsewhere.close();
  });

  it("prints a line of JSON a request, with no secret and no body in it", async () => {
    const payload = JSON.stringify(exampleEvent({ id: "evt_deno_log", note: "canary" }));
    await post(payload);
    await expect.poll(() => served.output(), { timeout: 10_000 }).toContain('"event":"evt_deno_log"');
    const lines = served
      .output()
      .split("\n")
      .filter((line) => line !== "" && !line.startsWith("Listening"));
    for (const line of lines) expect(JSON.parse(line)).toMatchObject({ function: "duebase-stripe-webhook" });
    expect(served.output()).not.toMatch(/canary|whsec_|Žofie/);
  });
});

it("under Deno, a database that never answers is given up after the timeout", {
  timeout: 30_000,
}, async () => {
  const silent = await startFakeDataApi();
  silent.behave(() => {});
  const database = pathToFileURL(
    resolve(import.meta.dirname, "../../../supabase/functions/_duebase/database.ts"),
  );
  const printed = await runInDeno(`
    import { connectDatabase } from ${JSON.stringify(database.href)};
    const call = connectDatabase({ url: ${JSON.stringify(silent.url)}, secretKey: "sb_secret_example", projectRef: "local", timeoutMs: 100 });
    await call("receive_event", '{"event":{}}').catch((error) => console.log(error.code, error.diagnostics.reason));
  `);
  await silent.close();
  expect(printed).toBe("database_unavailable No answer within 100 ms.");
});
