import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { connectDatabase } from "../../../supabase/functions/_duebase/database.ts";
import { createLogger, type LogFields } from "../../../supabase/functions/_duebase/log.ts";
import { createSignatureVerifier } from "../../../supabase/functions/_duebase/stripe-signature.ts";
import { createGatherer } from "../../../supabase/functions/duebase-stripe-webhook/gather.ts";
import { handleStripeWebhook } from "../../../supabase/functions/duebase-stripe-webhook/handler.ts";
import { createTurns } from "../../../supabase/functions/duebase-stripe-webhook/turns.ts";
import { answers, type Behaviour, type FakeDataApi, failsWith, startFakeDataApi } from "./fake-data-api.ts";
import { delivery, exampleEvent, NOW_MS, NOW_SECONDS, SECRET, signatureOf } from "./signed-requests.ts";

/** Strings that must never be seen outside: planted in the body, the keys, and the database's own errors. */
const CANARY = "canary-4242424242424242";
const SECRET_KEY = "sb_secret_example_canary";
/** Short, so that a database which never answers costs the test little. */
const TIMEOUT_MS = 1_500;

let dataApi: FakeDataApi;
let logged: string[];

beforeEach(async () => {
  dataApi = await startFakeDataApi();
  logged = [];
  told = 0;
});
afterEach(() => dataApi.close());

/** How often the function began to tell alarms. */
let told = 0;
const tellAlarms = () => {
  told += 1;
};

async function post(request: Request, url = dataApi.url): Promise<Response> {
  const callBilling = connectDatabase({
    url,
    secretKey: SECRET_KEY,
    projectRef: "local",
    timeoutMs: TIMEOUT_MS,
  });
  return await handleStripeWebhook(request, {
    verifySignature: createSignatureVerifier([SECRET]),
    storeEvent: createGatherer({
      receiveEvent: (event) => callBilling("receive_event", `{"event":${event}}`),
      receiveEvents: (events) => callBilling("receive_events", `{"events":${events}}`),
      takeTurn: createTurns(),
    }),
    tellAlarms,
    log: createLogger("duebase-stripe-webhook", (_level, line) => logged.push(line)),
    now: () => NOW_MS,
  });
}

const postEvent = (overrides?: Record<string, unknown>) =>
  post(delivery(JSON.stringify(exampleEvent(overrides))));

async function answerOf(response: Response): Promise<[number, string]> {
  const body = (await response.json()) as { error: { code: string; message: string } };
  expect(Object.keys(body)).toEqual(["error"]);
  expect(body.error.message).toMatch(/\w/);
  return [response.status, body.error.code];
}

function lastLog(): LogFields & { level: string } {
  return JSON.parse(logged.at(-1) ?? "null");
}

describe("a signed event", () => {
  it("is answered with 200 and what became of it, once the database has said so", async () => {
    const response = await postEvent();
    expect(response.status).toBe(200);
    expect(await response.json()).toEqual({ received: true, outcome: "processed" });
    expect(dataApi.stored.get("evt_example_1")).toEqual(exampleEvent());
  });

  it("is stored once however often it comes", async () => {
    const outcomes: unknown[] = [];
    for (let count = 0; count < 3; count++) outcomes.push(await (await postEvent()).json());
    expect(outcomes).toMatchObject([
      { outcome: "processed" },
      { outcome: "duplicate" },
      { outcome: "duplicate" },
    ]);
    expect(dataApi.stored.size).toBe(1);
  });

  it.each(["failed", "quarantined", "duplicate"])(
    "is answered with 200 when it is stored as %s",
    async (outcome) => {
      dataApi.behave((_call, response) => response.end(JSON.stringify(outcome)));
      const response = await postEvent();
      expect([response.status, await response.json()]).toEqual([200, { received: true, outcome }]);
    },
  );

  it("reaches the database as it was sent, numbers and spacing and all", async () => {
    const payload =
      '{ "id":"evt_1", "object":"event", "type":"x", "n":12345678901234567890.10, "z":1.0, "e":1E-2 }';
    await post(delivery(payload));
    expect(dataApi.calls.map((call) => call.body)).toEqual([`{"event":${payload}}`]);
  });

  it("goes to schema billing with the secret key in apikey and nowhere else", async () => {
    await postEvent();
    const [call] = dataApi.calls;
    expect(call?.path).toBe("POST /rest/v1/rpc/receive_event");
    expect(call?.headers).toMatchObject({ "content-profile": "billing", apikey: SECRET_KEY });
    expect(call?.headers.authorization).toBeUndefined();
  });

  it("goes with an older project's JWT as bearer token too", async () => {
    const call = connectDatabase({ url: dataApi.url, secretKey: "a.b.c", projectRef: "local" });
    await call("receive_event", '{"event":{"id":"evt_1"}}');
    expect(dataApi.calls[0]?.headers).toMatchObject({ apikey: "a.b.c", authorization: "Bearer a.b.c" });
  });

  it("is stored whatever its type, and however old the event itself is", async () => {
    const response = await postEvent({ type: "something.new", created: NOW_SECONDS - 3 * 86_400 });
    expect(response.status).toBe(200);
  });

  it("with a NUL or half a surrogate pair inside is stored with U+FFFD in its place", async () => {
    const payload = String.raw`{"id":"evt_nul","object":"event","type":"x\u0000","\u0000":"\ud83d","kept":"\\u0000"}`;
    expect((await post(delivery(payload))).status).toBe(200);
    expect(dataApi.stored.get("evt_nul")).toMatchObject({
      type: "x\ufffd",
      "\ufffd": "\ufffd",
      kept: "\\u0000",
    });
  });

  it("is logged on one line with its id, type, customer, outcome and duration", async () => {
    await postEvent();
    expect(logged).toHaveLength(1);
    expect(lastLog()).toEqual({
      time: expect.stringMatching(/^\d{4}-.*Z$/),
      level: "info",
      function: "duebase-stripe-webhook",
      event: "evt_example_1",
      type: "invoice.paid",
      customer: "cus_example",
      outcome: "processed",
      status: 200,
      duration_ms: expect.any(Number),
    });
  });

  it.each([
    ["expanded", { object: "invoice", customer: { id: "cus_expanded", object: "customer" } }, "cus_expanded"],
    ["itself", { object: "customer", id: "cus_itself" }, "cus_itself"],
    ["absent", { object: "product", id: "prod_1" }, undefined],
    ["null", { object: "charge", customer: null }, undefined],
    ["free text", { object: "charge", customer: `someone\n${CANARY}` }, undefined],
  ])("is logged with its customer where that is %s", async (_what, object, customer) => {
    await postEvent({ data: { object } });
    expect(lastLog().customer).toBe(customer);
  });
});

describe("a request is refused, and nothing reaches the database,", () => {
  afterEach(() => {
    expect(dataApi.calls).toEqual([]);
    expect(logged).toHaveLength(1);
    expect(lastLog().level).toBe("warn");
  });

  it.each(["GET", "HEAD", "OPTIONS", "PUT", "PATCH", "DELETE"])(
    "with 405 when its method is %s",
    async (method) => {
      const response = await post(delivery("{}", { method }));
      expect(response.headers.get("allow")).toBe("POST");
      expect(await answerOf(response)).toEqual([405, "method_not_allowed"]);
    },
  );

  it.each([
    ["without a signature", null, "signature_missing"],
    ["with a malformed signature", "v1=abc", "signature_malformed"],
    ["with a forged signature", `t=${NOW_SECONDS},v1=${"a".repeat(64)}`, "signature_mismatch"],
    ["signed for another body", signatureOf("{}"), "signature_mismatch"],
  ])("with 400 when it comes %s", async (_what, header, code) => {
    const payload = JSON.stringify(exampleEvent({ note: CANARY }));
    expect(await answerOf(await post(delivery(payload, { header })))).toEqual([400, code]);
  });

  it.each([
    [-301, "signature_too_old"],
    [301, "signature_too_new"],
  ])("with 400 when it was signed %d seconds from now", async (offset, code) => {
    const payload = JSON.stringify(exampleEvent());
    const header = signatureOf(payload, { timestamp: NOW_SECONDS + offset });
    expect(await answerOf(await post(delivery(payload, { header })))).toEqual([400, code]);
  });

  it("with 413 when its body is over 1 MiB, signed or not", async () => {
    const payload = JSON.stringify(exampleEvent({ note: "x".repeat(1024 * 1024) }));
    expect(await answerOf(await post(delivery(payload)))).toEqual([413, "payload_too_large"]);
    logged = [];
    expect(await answerOf(await post(delivery(payload, { header: null })))).toEqual([
      413,
      "payload_too_large",
    ]);
  });

  it.each([
    ["empty", "", "invalid_json"],
    ["not JSON", "hello", "invalid_json"],
    ["JSON followed by something", '{"id":"evt_1"},"x":{}', "invalid_json"],
    ["an array", "[]", "invalid_event"],
    ["null", "null", "invalid_event"],
    ["a string", '"evt_1"', "invalid_event"],
    ["an object that is no event", '{"id":"cus_1","object":"customer"}', "invalid_event"],
    ["an event without an id", JSON.stringify(exampleEvent({ id: undefined })), "invalid_event"],
    ["an event with an empty id", JSON.stringify(exampleEvent({ id: "" })), "invalid_event"],
    ["an event with a number for an id", JSON.stringify(exampleEvent({ id: 1 })), "invalid_event"],
    [
      "an event with an endless id",
      JSON.stringify(exampleEvent({ id: "e".repeat(10_000) })),
      "invalid_event",
    ],
    ["an event without a type", JSON.stringify(exampleEvent({ type: null })), "invalid_event"],
    ["nested without end", `{"a":${"[".repeat(200_000)}`, "too_deeply_nested"],
  ])("with 400 when it is signed but %s", async (_what, payload, code) => {
    expect(await answerOf(await post(delivery(payload)))).toEqual([400, code]);
  });

  it.each([
    ["as Stripe sends it", { object: "v2.core.event" }],
    ["with data of its own", { object: "v2.core.event", data: { reason: CANARY } }],
    ["as the first ones were", { object: "event" }],
  ])(
    "with 400 and a code that says snapshot payloads are needed when it is a thin event, %s",
    async (_what, fields) => {
      const thin = {
        id: "evt_test_thin",
        type: "v1.customer.created",
        livemode: false,
        created: "2026-11-01T12:00:00.000Z",
        related_object: { id: "cus_example", type: "customer", url: "/v1/customers/cus_example" },
        ...fields,
      };
      const response = await post(delivery(JSON.stringify(thin)));
      expect(await response.clone().json()).toMatchObject({
        error: { message: expect.stringContaining("Snapshot payloads are needed") },
      });
      expect(await answerOf(response)).toEqual([400, "thin_event"]);
      expect(lastLog()).toMatchObject({
        outcome: "thin_event",
        status: 400,
        reason: expect.stringContaining("Snapshot payloads are needed"),
      });
    },
  );

  it("with 400 when it is signed but not UTF-8", async () => {
    const { createHmac } = await import("node:crypto");
    const payload = Uint8Array.of(0x7b, 0xff, 0x7d);
    const digest = createHmac("sha256", SECRET).update(`${NOW_SECONDS}.`).update(payload).digest("hex");
    const request = delivery(payload, { header: `t=${NOW_SECONDS},v1=${digest}` });
    expect(await answerOf(await post(request))).toEqual([400, "invalid_encoding"]);
  });
});

describe("what the database refuses", () => {
  it.each([
    ["its own DU001", failsWith(400, { code: "DU001", message: "no created" }), "invalid_event"],
    ["one of its own codes of a later version", failsWith(400, { code: "DU099", message: "no" }), "refused"],
    ["text jsonb cannot hold", failsWith(400, { code: "22P05" }), "unstorable_event"],
    ["a number jsonb cannot hold", failsWith(400, { code: "22003" }), "unstorable_event"],
    ["structure too deep for Postgres", failsWith(500, { code: "54001" }), "unstorable_event"],
  ])(
    "for %s is answered with 400 and a code, not with a failure Stripe repeats blindly",
    async (_what, behaviour, code) => {
      dataApi.behave(behaviour);
      expect(await answerOf(await postEvent())).toEqual([400, code]);
    },
  );
});

describe("a database that does not answer as it should", () => {
  const cutBeforeAnswer: Behaviour = (_call, response) => response.socket?.destroy();
  const cutInTheAnswer: Behaviour = (_call, response) => {
    response.writeHead(200, { "content-length": "100" }).write('"proc');
    setImmediate(() => response.socket?.destroy());
  };
  const neverAnswers: Behaviour = () => {};
  const neverEnds: Behaviour = (_call, response) => void response.writeHead(200).write('"processed"');
  const raw = (status: number, body: string, headers = {}): Behaviour => {
    return (_call, response) => response.writeHead(status, headers).end(body);
  };

  it.each([
    ["cuts the connection", cutBeforeAnswer],
    ["cuts the connection inside its answer", cutInTheAnswer],
    ["never answers", neverAnswers],
    ["never ends its answer", neverEnds],
    ["has no connection left", failsWith(504, { code: "PGRST003" })],
    ["cannot reach Postgres", failsWith(503, { code: "PGRST000" })],
    ["is still loading its schema", failsWith(503, { code: "PGRST002" })],
    ["reaches the statement timeout", failsWith(500, { code: "57014" })],
    ["waits too long for a lock", failsWith(500, { code: "55P03" })],
    ["is shutting down", failsWith(500, { code: "57P01" })],
    ["loses a deadlock", failsWith(500, { code: "40P01" })],
    ["has too many connections", failsWith(503, { code: "53300" })],
    ["is read-only as its disk is full", failsWith(405, { code: "25006" })],
    ["is rate limited", raw(429, "slow down")],
    ["fails behind a gateway that answers in HTML", raw(502, "<html>Bad gateway</html>")],
    ["has a bug", failsWith(500, { code: "XX000" })],
  ])("and %s gets 503 with retry-after, so that Stripe sends again", async (_what, behaviour) => {
    dataApi.behave(behaviour);
    const response = await postEvent();
    expect(Number(response.headers.get("retry-after"))).toBeGreaterThan(0);
    expect(await answerOf(response)).toEqual([503, "database_unavailable"]);
    expect(lastLog()).toMatchObject({
      level: "error",
      event: "evt_example_1",
      reason: expect.stringMatching(/\w/),
    });
  });

  it.each([
    ["lacks the function", failsWith(404, { code: "PGRST202" }), /migrations/],
    ["does not expose the schema", failsWith(406, { code: "PGRST106" }), /api\.schemas/],
    ["does not know the key", failsWith(401, { code: "PGRST301" }), /SUPABASE_SECRET_KEYS/],
    ["answers 401 in words of its own", raw(401, '{"message":"Invalid API key"}'), /SUPABASE_SECRET_KEYS/],
    ["forbids the call", failsWith(403, { code: "42501" }), /service_role/],
    ["is not there at all", raw(404, "<html>Not found</html>"), /SUPABASE_URL/],
    ["redirects elsewhere", raw(302, "", { location: "/elsewhere" }), /SUPABASE_URL/],
    ["refuses for a reason unknown", failsWith(400, { code: "P0001" }), /\w/],
    ["answers 200 in HTML", raw(200, "<html>Welcome</html>"), /SUPABASE_URL/],
    ["answers 200 with nothing", raw(200, ""), /SUPABASE_URL/],
    ["answers 204", raw(204, ""), /SUPABASE_URL/],
    ["answers 200 with null", raw(200, "null"), /\w/],
    ["answers 200 with something else", raw(200, '{"outcome":"processed"}'), /receive_event/],
  ])("and %s gets 503, and the log says what to put right", async (_what, behaviour, reason) => {
    dataApi.behave(behaviour);
    expect(await answerOf(await postEvent())).toEqual([503, "database_misconfigured"]);
    expect(lastLog()).toMatchObject({ level: "error", reason: expect.stringMatching(reason) });
    expect(dataApi.calls).toHaveLength(1);
  });

  it("and refuses connections gets 503 too", async () => {
    const { url } = dataApi;
    await dataApi.close();
    const response = await post(delivery(JSON.stringify(exampleEvent())), url);
    expect(await answerOf(response)).toEqual([503, "database_unavailable"]);
  });

  it("but commits before the connection is cut is told again, and stores it once", async () => {
    dataApi.behave((call, response, store) => {
      store(call);
      response.socket?.destroy();
    });
    expect((await postEvent()).status).toBe(503);
    dataApi.behave(answers);
    expect(await (await postEvent()).json()).toEqual({ received: true, outcome: "duplicate" });
    expect(dataApi.stored.size).toBe(1);
  });

  it("never makes a 2xx of an event it has not stored, whichever way it fails, in a burst", async () => {
    const behaviours = [
      answers,
      cutBeforeAnswer,
      cutInTheAnswer,
      failsWith(500, { code: "57014" }),
      neverAnswers,
    ];
    dataApi.behave((call, response, store) => {
      behaviours[dataApi.calls.length % behaviours.length]?.(call, response, store);
    });
    const ids = Array.from({ length: 50 }, (_, index) => `evt_burst_${index}`);
    const responses = await Promise.all(ids.map((id) => postEvent({ id })));
    const acknowledged = ids.filter((_, index) => responses[index]?.ok);
    expect(acknowledged.length).toBeGreaterThan(0);
    expect(acknowledged.length).toBeLessThan(ids.length);
    for (const id of acknowledged) expect(dataApi.stored.has(id)).toBe(true);
    expect(logged).toHaveLength(ids.length);
  });
});

describe("the log", () => {
  it("holds no secret, signature or body, whatever happens", async () => {
    const payload = JSON.stringify(
      exampleEvent({ id: `evt ${CANARY}`, type: CANARY.repeat(20), note: CANARY }),
    );
    const noJson = `{"card":"${CANARY}"`;
    const genuine = signatureOf(payload);
    const leaking = (status: number, code: string) => failsWith(status, { code, message: CANARY });

    await post(delivery(payload));
    await post(delivery(payload, { header: `${genuine.slice(0, -1)}x` }));
    await post(delivery(payload, { header: signatureOf(payload, { secret: CANARY }) }));
    await post(delivery(noJson));
    for (const behaviour of [
      leaking(400, "DU001"),
      leaking(400, "22P02"),
      leaking(500, "57014"),
      leaking(400, "P0001"),
      leaking(400, CANARY),
      leaking(404, "PGRST202"),
    ]) {
      dataApi.behave(behaviour);
      await postEvent({ note: CANARY });
    }

    expect(logged).toHaveLength(10);
    const everything = logged.join("\n");
    const signature = genuine.split("v1=")[1] ?? "";
    for (const kept of [CANARY, "4242", SECRET, SECRET_KEY, signature, signature.slice(0, 63)]) {
      expect(everything).not.toContain(kept);
    }
  });

  it("begins to tell alarms after an event that was taken, and for nobody whom Stripe did not send", async () => {
    await postEvent();
    expect(told).toBe(1);
    await post(new Request("http://localhost", { method: "POST", body: "{}" }));
    await post(new Request("http://localhost"));
    dataApi.behave(failsWith(503, { code: "57014" }));
    await postEvent({ id: "evt_unstored" });
    expect(told).toBe(1);
  });

  it("names the place of an unexpected exception without its message, and the answer does neither", async () => {
    const response = await handleStripeWebhook(delivery(JSON.stringify(exampleEvent())), {
      verifySignature: createSignatureVerifier([SECRET]),
      storeEvent: () => Promise.reject(new RangeError(`${CANARY}\nat ${CANARY}`)),
      tellAlarms,
      log: createLogger("duebase-stripe-webhook", (_level, line) => logged.push(line)),
      now: () => NOW_MS,
    });
    expect(await answerOf(response)).toEqual([500, "internal_error"]);
    expect(lastLog().exception).toMatch(/^RangeError at .*stripe-webhook\.test\.ts/);
    expect(logged.join()).not.toContain("canary");
  });
});
