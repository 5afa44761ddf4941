import { readFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { projectRoot } from "../../../scripts/local/project.ts";
import type { HealthRow } from "../../../supabase/functions/duebase-health/handler.ts";
import { healthAsOpenMetrics, metricOf } from "../../../supabase/functions/duebase-health/openmetrics.ts";
import { createTestDatabase, type TestDatabase } from "../../support/database.ts";
import { parseOpenMetrics } from "../../support/openmetrics.ts";

let database: TestDatabase;
let checks: HealthRow[];
beforeAll(async () => {
  database = await createTestDatabase();
  checks = await database.asService((sql) => sql<HealthRow[]>`select * from billing.health`);
});
afterAll(() => database.drop());

const dashboard = readFileSync(join(projectRoot, "operations", "grafana-dashboard.json"), "utf8");

/** What duebase-health gives: of the values, those of the checks that have one in some project. */
const given = () =>
  new Set([
    "duebase_info",
    "duebase_database_up",
    "duebase_health_check_status",
    "duebase_health_check_since_timestamp_seconds",
    ...checks.filter(({ unit }) => unit !== null).map(metricOf),
  ]);

test("each metric that the dashboard names is given by duebase-health", () => {
  const named = new Set(dashboard.match(/\bduebase_[a-z0-9_]+/g));
  expect(named.size).toBeGreaterThan(15);
  expect([...named].filter((name) => !given().has(name))).toEqual([]);
});

test("each value that has a target is drawn", () => {
  const drawn = new Set(dashboard.match(/\bduebase_[a-z0-9_]+/g));
  const silent = checks.filter(({ unit, target }) => unit !== null && target !== null).map(metricOf);
  // These are counts of a kind whose lights are in the table, and which have no history worth a line.
  const inTheTable = new Set(["duebase_jobs", "duebase_old_debts", "duebase_history"]);
  expect(silent.filter((name) => !drawn.has(name) && !inTheTable.has(name))).toEqual([]);
});

test("what a real database says is valid OpenMetrics", () => {
  const families = parseOpenMetrics(
    healthAsOpenMetrics({ asOf: new Date().toISOString(), checks, isReachable: true }),
  );
  expect(families.get("duebase_health_check_status")?.samples).toHaveLength(checks.length);
});
