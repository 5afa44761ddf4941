import { RELEASE } from "../_duebase/release.gen.ts";
import type { HealthRow, Light } from "./handler.ts";

/** https://prometheus.io/docs/specs/om/open_metrics_spec/ */
export const OPENMETRICS_TYPE = "application/openmetrics-text; version=1.0.0; charset=utf-8";

type Sample = { labels?: Record<string, string>; value: number };
type Family = { name: string; type: "gauge" | "info"; unit?: string; help: string; samples: Sample[] };

const LIGHTS: Record<Light, number> = { green: 0, amber: 1, red: 2 };

/** OpenMetrics knows base units only: what a value of ours is divided by, and the unit that it then has. */
const BASE_UNITS: Record<string, { unit?: string; per: number }> = {
  percent: { unit: "ratio", per: 100 },
  ms: { unit: "seconds", per: 1000 },
  seconds: { unit: "seconds", per: 1 },
  count: { per: 1 },
};

/**
 * The rows as OpenMetrics text: the light of every check as 0 (green), 1 (amber) or 2 (red), and each value as a gauge of
 * its own, in base units: `event-latency-p99` in ms is `duebase_event_latency_p99_seconds`.
 */
export function healthAsOpenMetrics(health: {
  /** ISO 8601. */
  asOf: string;
  checks: readonly HealthRow[];
  /** Whether the database answered; without it there are no rows. */
  isReachable: boolean;
}): string {
  const { checks, isReachable } = health;
  const families: Family[] = [
    info("duebase", "The release that answers.", [{ labels: { release: RELEASE }, value: 1 }]),
    gauge("duebase_database_up", "Whether the database answered: 1 or 0.", [{ value: Number(isReachable) }]),
    gauge(
      "duebase_health_check_status",
      "The light of each check: 0 green, 1 amber, 2 red.",
      checks.map(({ name, status }) => ({ labels: { check: name }, value: LIGHTS[status] ?? LIGHTS.red })),
    ),
    gauge(
      "duebase_health_check_since_timestamp_seconds",
      "Since when a check is not green.",
      checks.flatMap(({ name, since }) =>
        since === null ? [] : [{ labels: { check: name }, value: Date.parse(since) / 1000 }],
      ),
      "seconds",
    ),
    ...checks.flatMap(gaugeOf),
  ];
  return `${families
    .filter(({ samples }) => samples.length > 0)
    .map(familyAsText)
    .join("")}# EOF\n`;
}

/** The name of the metric that holds the value of a check. */
export function metricOf({ name, unit }: Pick<HealthRow, "name" | "unit">): string {
  const base = BASE_UNITS[unit ?? "count"];
  const words = [name, base === undefined ? unit : base.unit].filter((word) => word !== undefined);
  return `duebase_${words
    .join("_")
    .toLowerCase()
    .replace(/[^a-z0-9]+/g, "_")}`;
}

function gaugeOf(check: HealthRow): Family[] {
  const value = check.value === null ? Number.NaN : Number(check.value);
  if (!Number.isFinite(value)) return [];
  const { unit, per } = BASE_UNITS[check.unit ?? "count"] ?? { unit: undefined, per: 1 };
  const help = check.target === null ? `The value of check ${check.name}.` : `Target: ${check.target}.`;
  return [gauge(metricOf(check), help, [{ value: value / per }], unit)];
}

const gauge = (name: string, help: string, samples: Sample[], unit?: string): Family => ({
  name,
  type: "gauge",
  unit,
  help,
  samples,
});
const info = (name: string, help: string, samples: Sample[]): Family => ({
  name,
  type: "info",
  help,
  samples,
});

function familyAsText({ name, type, unit, help, samples }: Family): string {
  const suffix = type === "info" ? "_info" : "";
  return [
    `# TYPE ${name} ${type}`,
    ...(unit === undefined ? [] : [`# UNIT ${name} ${unit}`]),
    `# HELP ${name} ${escaped(help)}`,
    ...samples.map(({ labels, value }) => `${name}${suffix}${labelsAsText(labels)} ${value}`),
    "",
  ].join("\n");
}

function labelsAsText(labels: Record<string, string> | undefined): string {
  if (labels === undefined) return "";
  return `{${Object.entries(labels)
    .map(([name, value]) => `${name}="${escaped(value)}"`)
    .join(",")}}`;
}

const escaped = (text: string): string =>
  text.replace(/\\/g, "\\\\").replace(/\n/g, "\\n").replace(/"/g, '\\"');
