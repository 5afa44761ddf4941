import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { connectDatabase } from "../../../supabase/functions/_duebase/database.ts";
import { readHealthEnvironment } from "../../../supabase/functions/_duebase/env.ts";
import { createLogger } from "../../../supabase/functions/_duebase/log.ts";
import { RELEASE } from "../../../supabase/functions/_duebase/release.gen.ts";
import { createSecretCheck } from "../../../supabase/functions/_duebase/shared-secret.ts";
import { createHealthHandler, type HealthRow } from "../../../supabase/functions/duebase-health/handler.ts";
import { metricOf, OPENMETRICS_TYPE } from "../../../supabase/functions/duebase-health/openmetrics.ts";
import { parseOpenMetrics } from "../../support/openmetrics.ts";
import { type FakeDataApi, failsWith, startFakeDataApi } from "./fake-data-api.ts";

const SECRET = "health-secret-example";
const check = (name: string, more: Partial<HealthRow> = {}): HealthRow => ({
  name,
  status: "green",
  value: null,
  unit: null,
  target: null,
  meaning: `It is said of ${name}.`,
  since: null,
  cure: null,
  ...more,
});
const healthy = [
  check("events-processed", { value: 99.98, unit: "percent", target: "99.95 %" }),
  check("event-latency-p99", { value: 420, unit: "ms", target: "under 500 ms" }),
  check("mode", {}),
];
const broken = check("dead-letters", {
  status: "red",
  value: 2,
  unit: "count",
  target: "none",
  meaning: 'two events, the first of "évt"\\x\nand another',
  since: "2026-11-30T09:00:00+00:00",
  cure: "replay them",
});

let dataApi: FakeDataApi;
let rows: HealthRow[];
let clock: number;
let told: number;
let logged: string[];
beforeEach(async () => {
  dataApi = await startFakeDataApi();
  dataApi.behave((_call, response) =>
    response.writeHead(200, { "content-type": "application/json" }).end(JSON.stringify(rows)),
  );
  rows = healthy;
  clock = Date.parse("2026-11-30T10:00:00Z");
  told = 0;
  logged = [];
});
afterEach(() => dataApi.close());

function handlerAt(url = dataApi.url, secrets = [SECRET]) {
  const callBilling = connectDatabase({
    url,
    secretKey: "sb_secret_canary",
    projectRef: "local",
    timeoutMs: 300,
  });
  return createHealthHandler({
    hasSecret: createSecretCheck(secrets),
    readHealth: async () => (await callBilling("check_health", "{}")) as HealthRow[],
    tellAlarms: () => {
      told += 1;
    },
    log: createLogger("duebase-health", (_level, line) => logged.push(line)),
    now: () => clock,
  });
}
const ask = (headers: Record<string, string> = {}, query = "", method = "GET") =>
  new Request(`http://localhost/duebase-health${query}`, { method, headers });
const withSecret = { authorization: `Bearer ${SECRET}` };

describe("an uptime monitor, which has no secret,", () => {
  it.each<[HealthRow["status"], number]>([
    ["green", 200],
    ["amber", 200],
    ["red", 503],
  ])("is answered of %s with %i and nothing but that", async (status, code) => {
    rows = [...healthy, check("dead-letters", { status })];
    for (const query of ["", "?format=json", "?format=openmetrics"]) {
      const response = await handlerAt()(ask({}, query));
      expect([response.status, await response.json()]).toEqual([code, { status }]);
      expect(response.headers.get("cache-control")).toBe("no-store");
    }
  });

  it.each([
    [
      "unreachable",
      503,
      "database_unavailable",
      () => dataApi.behave((_call, response) => response.destroy()),
    ],
    ["silent", 503, "database_unavailable", () => dataApi.behave(() => {})],
    [
      "without our functions",
      503,
      "database_misconfigured",
      () => dataApi.behave(failsWith(404, { code: "PGRST202" })),
    ],
  ])("is told that the database is %s", async (_what, code, problem, breakIt) => {
    breakIt();
    const response = await handlerAt()(ask());
    expect([response.status, await response.json()]).toEqual([code, { status: "red", problem }]);
  });

  it("takes a view without rows for no health", async () => {
    rows = [];
    expect((await handlerAt()(ask())).status).toBe(503);
  });

  it("does not make the database look more than once in five seconds, however many ask", async () => {
    const handler = handlerAt();
    await Promise.all(Array.from({ length: 20 }, () => handler(ask())));
    expect(dataApi.calls).toHaveLength(1);
    rows = [...healthy, broken];
    clock += 4_999;
    expect((await handler(ask())).status).toBe(200);
    clock += 1;
    expect((await handler(ask())).status).toBe(503);
    expect(dataApi.calls.map(({ path }) => path)).toEqual(Array(2).fill("POST /rest/v1/rpc/check_health"));
  });
});

describe("whoever asks", () => {
  it.each(["POST", "HEAD", "PUT", "DELETE", "OPTIONS"])("with %s is answered 405", async (method) => {
    const response = await handlerAt()(ask(withSecret, "", method));
    expect([response.status, response.headers.get("allow")]).toEqual([405, "GET"]);
    expect(dataApi.calls).toEqual([]);
  });

  it.each([
    ["another secret", { authorization: "Bearer health-secret-examplf" }],
    ["a part of it", { authorization: "Bearer health" }],
    ["the secret without its scheme", { authorization: SECRET }],
    ["an empty one", { authorization: "Bearer " }],
  ])("with %s is answered 401", async (_what, headers) => {
    const response = await handlerAt()(ask(headers));
    expect(response.status).toBe(401);
    expect(await response.json()).toMatchObject({ error: { code: "unauthorized" } });
    expect(dataApi.calls).toEqual([]);
  });

  it("with a secret where none is set is answered 401: nobody has it", async () => {
    const response = await handlerAt(dataApi.url, [])(ask({ authorization: "Bearer undefined" }));
    expect(response.status).toBe(401);
  });

  it("for a format that there is not is answered 400", async () => {
    expect((await handlerAt()(ask(withSecret, "?format=xml"))).status).toBe(400);
  });

  it("makes alarms be told, which the answer does not wait for", async () => {
    await handlerAt()(ask());
    expect(told).toBe(1);
    await handlerAt()(ask({}, "", "POST"));
    expect(told).toBe(1);
  });

  it("leaves one line in the log, without the secret", async () => {
    rows = [...healthy, broken];
    await handlerAt()(ask(withSecret));
    expect(logged.map((line) => JSON.parse(line))).toMatchObject([
      { level: "error", function: "duebase-health", outcome: "red", status: 503 },
    ]);
    expect(logged.join()).not.toContain(SECRET);
  });
});

describe("with the secret", () => {
  it("the rows are there, as JSON", async () => {
    rows = [...healthy, broken];
    const response = await handlerAt()(ask(withSecret));
    expect(response.status).toBe(503);
    expect(await response.json()).toEqual({
      status: "red",
      as_of: "2026-11-30T10:00:00.000Z",
      release: RELEASE,
      checks: rows,
    });
  });

  it("any of several is taken, while one is rotated out", async () => {
    const handler = handlerAt(dataApi.url, ["another-secret", SECRET]);
    expect(await (await handler(ask(withSecret))).json()).toMatchObject({ checks: rows });
  });

  it("it is said why the database could not be asked", async () => {
    const response = await handlerAt("http://127.0.0.1:9")(ask(withSecret));
    expect(response.status).toBe(503);
    expect(await response.json()).toMatchObject({
      status: "red",
      problem: {
        code: "database_unavailable",
        message: expect.stringContaining("does not answer"),
        reason: "The Data API cannot be reached.",
      },
      checks: [],
    });
  });
});

describe("as OpenMetrics", () => {
  // What Prometheus 3 sends.
  const accept =
    "application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.5,text/plain;version=0.0.4;q=0.2,*/*;q=0.1";

  it.each([
    ["asked by the accept header", { ...withSecret, accept }, ""],
    ["asked by the address", withSecret, "?format=openmetrics"],
  ])("the rows are text that is valid by its specification, %s", async (_what, headers, query) => {
    rows = [...healthy, broken];
    const response = await handlerAt()(ask(headers, query));
    // A scraper throws the body of a 503 away.
    expect([response.status, response.headers.get("content-type")]).toEqual([200, OPENMETRICS_TYPE]);
    const families = parseOpenMetrics(await response.text());
    const sample = (name: string) =>
      families.get(name)?.samples.map(({ labels, value }) => ({ ...labels, value }));
    expect(sample("duebase")).toEqual([{ release: RELEASE, value: 1 }]);
    expect(sample("duebase_database_up")).toEqual([{ value: 1 }]);
    expect(sample("duebase_health_check_status")).toEqual([
      { check: "events-processed", value: 0 },
      { check: "event-latency-p99", value: 0 },
      { check: "mode", value: 0 },
      { check: "dead-letters", value: 2 },
    ]);
    expect(sample("duebase_health_check_since_timestamp_seconds")).toEqual([
      { check: "dead-letters", value: Date.parse("2026-11-30T09:00:00Z") / 1000 },
    ]);
    expect(sample("duebase_events_processed_ratio")).toEqual([{ value: expect.closeTo(0.9998, 10) }]);
    expect(sample("duebase_event_latency_p99_seconds")).toEqual([{ value: 0.42 }]);
    expect(sample("duebase_dead_letters")).toEqual([{ value: 2 }]);
    expect(families.get("duebase_event_latency_p99_seconds")).toMatchObject({
      unit: "seconds",
      type: "gauge",
    });
  });

  it("says that the database is not there with 503, which is a failed scrape", async () => {
    const response = await handlerAt("http://127.0.0.1:9")(ask(withSecret, "?format=openmetrics"));
    expect(response.status).toBe(503);
    const families = parseOpenMetrics(await response.text());
    expect(families.get("duebase_database_up")?.samples).toMatchObject([{ value: 0 }]);
  });

  it("is valid whatever a check is called and measured in", async () => {
    rows = [
      check('with "quotes"\\ and\nlines', { value: "1e3", unit: "furlongs per week", target: "a\\b\nc" }),
      check("no-value"),
      check("big", { value: 1e21, unit: null }),
    ];
    const families = parseOpenMetrics(
      await (await handlerAt()(ask(withSecret, "?format=openmetrics"))).text(),
    );
    expect(families.get("duebase_health_check_status")?.samples.map(({ labels }) => labels.check)).toEqual(
      rows.map(({ name }) => name),
    );
    expect(families.get("duebase_big")?.samples).toMatchObject([{ value: 1e21 }]);
  });

  it("names a metric by check and base unit", () => {
    expect(metricOf({ name: "event-latency-p50", unit: "ms" })).toBe("duebase_event_latency_p50_seconds");
    expect(metricOf({ name: "emails-delivered", unit: "percent" })).toBe("duebase_emails_delivered_ratio");
    expect(metricOf({ name: "dead-letters", unit: "count" })).toBe("duebase_dead_letters");
  });
});

describe("its environment", () => {
  const read = (more: Record<string, string>) => (name: string) =>
    ({ SUPABASE_URL: "http://127.0.0.1:9", SUPABASE_SECRET_KEY: "sb_secret_example", ...more })[name];

  it("needs no secret of its own, and takes several", () => {
    expect(readHealthEnvironment(read({})).healthSecrets).toEqual([]);
    expect(readHealthEnvironment(read({ DUEBASE_HEALTH_SECRET: " " })).healthSecrets).toEqual([]);
    expect(readHealthEnvironment(read({ DUEBASE_HEALTH_SECRET: "a, b" })).healthSecrets).toEqual(["a", "b"]);
    expect(() => readHealthEnvironment(read({ DUEBASE_HEALTH_SECRET: "," }))).toThrow(
      "DUEBASE_HEALTH_SECRET",
    );
    expect(() => readHealthEnvironment(() => undefined)).toThrow("SUPABASE_URL");
  });
});
