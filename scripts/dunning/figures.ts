import type { TransactionSql } from "postgres";

/** What became of the cases that were opened in one month, in one currency. Amounts in minor units. */
export interface MonthFigures {
  /** First day of the month, `2026-11-01`. */
  month: string;
  opened: number;
  stillOpen: number;
  held: number;
  recovered: number;
  lost: number;
  /** Paid with a credit note, a balance or credits: no money came. */
  settledWithoutPayment: number;
  letOff: number;
  /** How many were recovered after which mail had been the last one. */
  recoveredAfter: Record<Stage, number>;
  /** Median of the recovered ones; null without any. */
  medianDays: number | null;
  amountDue: bigint;
  amountRecovered: bigint;
  amountLost: bigint;
  /** Of cases that were credited, voided, not owed after all or closed by hand: what nobody owes any more, and nobody paid. */
  amountForgiven: bigint;
  amountOpen: bigint;
}

/** Of open cases: those whose last step was this one; or old debts that nobody has released. Amounts in minor units. */
export interface RiskFigures {
  stage: string;
  cases: number;
  held: number;
  amount: bigint;
  oldestSince: Date;
}

export const stages = ["not_told", "notice", "urgent_reminder", "final_warning"] as const;
export type Stage = (typeof stages)[number];

/** How a stage is called. */
export const stageNames: Record<string, string> = {
  not_told: "before any mail",
  notice: "notice",
  urgent_reminder: "urgent reminder",
  final_warning: "final warning",
  end: "end under way",
  old_debt: "old debt, not released",
};

/** All that a report says about one currency: every month from the first with a case on, and what is at risk now. */
export interface CurrencyFigures {
  currency: string;
  months: MonthFigures[];
  risk: RiskFigures[];
}

export interface Figures {
  /** The database's clock. */
  asOf: Date;
  currencies: CurrencyFigures[];
}

interface OutcomeRow {
  month: string;
  currency: string | null;
  [column: string]: string | null;
}

/**
 * Reads the recovery figures of the last months, by currency.
 *
 * @param months how many, the current one included
 */
export async function readFigures(sql: TransactionSql, months: number): Promise<Figures> {
  const [clock] = await sql<{ now: Date; first: string; last: string }[]>`
    select
      now() as now,
      (date_trunc('month', now() at time zone 'UTC') - make_interval(months => ${months - 1}))::date::text as first,
      date_trunc('month', now() at time zone 'UTC')::date::text as last`;
  if (!clock) throw new Error("the database did not tell the time");
  const outcomes = await sql<OutcomeRow[]>`
    select o.month::text as month, o.currency,
      o.opened, o.still_open, o.held, o.recovered, o.lost, o.settled_without_payment, o.let_off,
      o.recovered_before_notice, o.recovered_after_notice, o.recovered_after_urgent_reminder,
      o.recovered_after_final_warning, o.median_days_to_recover,
      o.amount_due, o.amount_recovered, o.amount_lost, o.amount_forgiven, o.amount_open
    from billing.dunning_outcomes as o
    where o.month >= ${clock.first}::text::date
    order by o.currency, o.month`;
  const risks = await sql<
    {
      currency: string | null;
      stage: string;
      cases: string;
      held: string;
      amount: string;
      oldest_since: Date;
    }[]
  >`
    select r.currency, r.stage, r.cases, r.held, r.amount, r.oldest_since
    from billing.revenue_at_risk as r
    order by
      r.currency, array_position(array['not_told', 'notice', 'urgent_reminder', 'final_warning', 'end', 'old_debt'], r.stage)`;

  const names = new Set([...outcomes, ...risks].map(({ currency }) => currency ?? ""));
  const currencies = [...names].map((currency): CurrencyFigures => {
    const known = outcomes.filter((row) => (row.currency ?? "") === currency).map(monthOf);
    return {
      currency,
      months: withoutGaps(known, known[0]?.month ?? clock.last, clock.last),
      risk: risks
        .filter((row) => (row.currency ?? "") === currency)
        .map(({ stage, cases, held, amount, oldest_since }) => ({
          stage,
          cases: Number(cases),
          held: Number(held),
          amount: BigInt(amount),
          oldestSince: oldest_since,
        })),
    };
  });
  return { asOf: clock.now, currencies: currencies.sort((a, b) => dueOf(b) - dueOf(a)) };
}

function monthOf(row: OutcomeRow): MonthFigures {
  const count = (column: string) => Number(row[column] ?? 0);
  const amount = (column: string) => BigInt(row[column] ?? 0);
  return {
    month: row.month,
    opened: count("opened"),
    stillOpen: count("still_open"),
    held: count("held"),
    recovered: count("recovered"),
    lost: count("lost"),
    settledWithoutPayment: count("settled_without_payment"),
    letOff: count("let_off"),
    recoveredAfter: {
      not_told: count("recovered_before_notice"),
      notice: count("recovered_after_notice"),
      urgent_reminder: count("recovered_after_urgent_reminder"),
      final_warning: count("recovered_after_final_warning"),
    },
    medianDays: row.median_days_to_recover === null ? null : count("median_days_to_recover"),
    amountDue: amount("amount_due"),
    amountRecovered: amount("amount_recovered"),
    amountLost: amount("amount_lost"),
    amountForgiven: amount("amount_forgiven"),
    amountOpen: amount("amount_open"),
  };
}

/** A month without a case is a month too: the axis of time has no holes. */
function withoutGaps(known: MonthFigures[], first: string, last: string): MonthFigures[] {
  const byMonth = new Map(known.map((figures) => [figures.month, figures]));
  const months: MonthFigures[] = [];
  for (let month = first; month <= last; month = following(month)) {
    months.push(byMonth.get(month) ?? monthOf({ month, currency: null, median_days_to_recover: null }));
  }
  return months;
}

function following(month: string): string {
  const date = new Date(`${month}T00:00:00Z`);
  date.setUTCMonth(date.getUTCMonth() + 1);
  return date.toISOString().slice(0, 10);
}

/** For the order of currencies only: the one with most cases first. */
function dueOf({ months }: CurrencyFigures): number {
  return months.reduce((sum, { opened }) => sum + opened, 0);
}

/** How many of those that were paid or lost were paid, 0 to 1; null while none was either. */
export function rateOf({ recovered, lost }: { recovered: number; lost: number }): number | null {
  return recovered + lost === 0 ? null : recovered / (recovered + lost);
}

/** The months of a currency as one, and everything at risk now, whenever it began. */
export interface Totals {
  recovered: number;
  lost: number;
  recoveredAfter: Record<Stage, number>;
  amountDue: bigint;
  amountRecovered: bigint;
  amountLost: bigint;
  /** Cases that ended with nobody owing or paying it. */
  forgiven: number;
  amountForgiven: bigint;
  recoveryRate: number | null;
  casesAtRisk: number;
  heldAtRisk: number;
  amountAtRisk: bigint;
}

/** Adds the months, and what is at risk, up. */
export function totalsOf({ months, risk }: CurrencyFigures): Totals {
  const count = <T>(of: readonly T[], column: (one: T) => number) =>
    of.reduce((sum, one) => sum + column(one), 0);
  const amount = <T>(of: readonly T[], column: (one: T) => bigint) =>
    of.reduce((sum, one) => sum + column(one), 0n);
  const recovered = count(months, (it) => it.recovered);
  const lost = count(months, (it) => it.lost);
  return {
    recovered,
    lost,
    recoveredAfter: {
      not_told: count(months, (it) => it.recoveredAfter.not_told),
      notice: count(months, (it) => it.recoveredAfter.notice),
      urgent_reminder: count(months, (it) => it.recoveredAfter.urgent_reminder),
      final_warning: count(months, (it) => it.recoveredAfter.final_warning),
    },
    amountDue: amount(months, (it) => it.amountDue),
    amountRecovered: amount(months, (it) => it.amountRecovered),
    amountLost: amount(months, (it) => it.amountLost),
    forgiven: count(months, (it) => it.settledWithoutPayment + it.letOff),
    amountForgiven: amount(months, (it) => it.amountForgiven),
    recoveryRate: rateOf({ recovered, lost }),
    casesAtRisk: count(risk, (it) => it.cases),
    heldAtRisk: count(risk, (it) => it.held),
    amountAtRisk: amount(risk, (it) => it.amount),
  };
}
