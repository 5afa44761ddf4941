import type { SimulatedCustomer } from "./customer.ts";
import type { Simulation } from "./simulation.ts";

/** What happened to a customer, a line each in order of time: actions, events, audit, dunning actions, mails. */
export async function timelineOf(
  { world, ends, crashes }: Simulation,
  customer: SimulatedCustomer,
): Promise<string> {
  const { sql } = world.database;
  const rows = await sql<{ at: Date; line: string }[]>`
    select received_at as at, format('  event %s %s created %s', type, object_id, to_char(created, 'MM-DD HH24:MI:SS')) as line
    from billing.webhook_events where customer_id = ${customer.id}
    union all
    select occurred_at, format('  audit %s %s %s', action, subject_id, detail) from billing.audit_events
    where customer_id = ${customer.id} and action like any (array['dunning.%', 'email.%'])
    union all
    select d.decided_at, format('  action %s %s of case %s: %s, finished %s, %s', d.id, d.kind, d.case_id, d.status, d.finished_at, d.note)
    from billing.dunning_actions as d join billing.dunning_cases as c on c.id = d.case_id where c.customer = ${customer.id}
    union all
    select decided_at, format('  resumption %s: %s, finished %s, %s', id, status, finished_at, note) from billing.dunning_resumptions
    where customer = ${customer.id}
    union all
    select e.created_at, format('  mail begun: %s %s, effect %s', e.template, e.dedupe_key, o.status)
    from billing.emails as e join billing.outbox as o on o.id = e.outbox_id where e.customer_id = ${customer.id}
    order by 1`;
  const lines = [
    ...customer.log.map((line) => ({ at: line.slice(0, 24), line: line.slice(25) })),
    ...rows.map(({ at, line }) => ({ at: at.toISOString(), line })),
    ...world.inbox.ledger.mails
      .filter(({ to }) => to.some((address) => customer.addresses.includes(address)))
      .map(({ at, tags, to }) => ({
        at: at.toISOString(),
        line: `  left: ${tags.template} for ${to.join()}`,
      })),
    ...ends
      .filter((end) => end.customer === customer.id)
      .map(({ at, kind, object, caseId }) => ({
        at: at.toISOString(),
        line: `ended: ${kind} of ${object} for case ${caseId}`,
      })),
    ...crashes.map((crash) => ({ at: crash.slice(0, 24), line: `    (crash in the ${crash.slice(25)})` })),
  ];
  lines.sort((one, other) => (one.at < other.at ? -1 : one.at > other.at ? 1 : 0));
  const { actions, subscriptions, ...plan } = customer.plan;
  return [
    JSON.stringify(plan),
    JSON.stringify(subscriptions),
    ...lines.map(({ at, line }) => `${at.slice(5, 19)} ${line}`),
  ].join("\n");
}
