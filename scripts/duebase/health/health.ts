import type { TransactionSql } from "postgres";

export type Light = "green" | "amber" | "red";

/** A row of `billing.health`: one check. */
export interface HealthCheck {
  name: string;
  status: Light;
  value: number | null;
  unit: string | null;
  target: string | null;
  /** What it says now, in one sentence. */
  meaning: string;
  /** Since when it is not green; null: it is. */
  since: Date | null;
  /** What to do; null: nothing. */
  cure: string | null;
}

/** An alarm that is not over, or has been over for less than a week. */
export interface Alarm {
  name: string;
  began_at: Date;
  ended_at: Date | null;
  last_told_at: Date | null;
  told_by: string | null;
}

/** The sums of a day, as the charts show them. */
export interface HealthDay {
  /** `2026-11-30`. */
  day: string;
  events: number;
  failed: number;
  /** Median and 99 of 100, milliseconds; null without events. */
  emails_sent: number;
  emails_delivered: number;
}

export interface Health {
  /** The worst of the checks. */
  status: Light;
  /** The database's clock. */
  as_of: Date;
  app: string;
  checks: HealthCheck[];
  alarms: Alarm[];
  days: HealthDay[];
}

/** So many days the page draws. */
const DAYS = 30;

/** Reads the checks as they are now, the alarms of the last week, and the sums of the last month. */
export async function readHealth(sql: TransactionSql): Promise<Health> {
  const [clock] = await sql<{ now: Date; app: string }[]>`
    select now(), s.app_name as app from billing.settings as s`;
  const rows = await sql<(Omit<HealthCheck, "value"> & { value: string | null })[]>`
    select h.name, h.status, h.value, h.unit, h.target, h.meaning, h.since, h.cure
    from billing.check_health() as h`;
  const checks = rows.map((row) => ({ ...row, value: row.value === null ? null : Number(row.value) }));
  const alarms = await sql<Alarm[]>`
    select a.name, a.began_at, a.ended_at, a.last_told_at, a.told_by
    from billing.alarms as a
    where a.ended_at is null or a.ended_at > now() - interval '7 days'
    order by a.began_at desc
    limit 20`;
  const days = await sql<HealthDay[]>`
    select
      to_char(d.day, 'YYYY-MM-DD') as day,
      coalesce(sum(h.events), 0)::float8 as events, coalesce(sum(h.failed), 0)::float8 as failed,
      coalesce(sum(h.emails_sent), 0)::float8 as emails_sent, coalesce(sum(h.emails_delivered), 0)::float8 as emails_delivered
    from generate_series(
      date_trunc('day', now() at time zone 'UTC') - (${DAYS} - 1) * interval '1 day', date_trunc('day', now() at time zone 'UTC'), '1 day'
    ) as d (day)
    left join billing.hourly_metrics as h
      on h.hour >= d.day at time zone 'UTC' and h.hour < (d.day + interval '1 day') at time zone 'UTC'
    group by d.day
    order by d.day`;
  return {
    status: worstOf(checks),
    as_of: clock?.now ?? new Date(),
    app: clock?.app ?? "",
    checks,
    alarms: [...alarms],
    days: [...days],
  };
}

/** No checks at all is not healthy. */
export function worstOf(checks: readonly { status: Light }[]): Light {
  if (checks.length === 0 || checks.some(({ status }) => status === "red")) return "red";
  return checks.some(({ status }) => status === "amber") ? "amber" : "green";
}

/** A value with its unit, as people read it; a dash for none. */
export function measured({ value, unit }: Pick<HealthCheck, "value" | "unit">): string {
  if (value === null) return "–";
  const number = new Intl.NumberFormat("en-US", { maximumFractionDigits: 2 }).format(value);
  if (unit === null || unit === "count") return number;
  if (unit === "percent") return `${number} %`;
  if (unit === "HTTP status") return `HTTP ${value}`;
  return `${number} ${unit === "seconds" ? "s" : unit}`;
}
