import type { Sql } from "postgres";

/** A write that may have been performed since the backup. */
export interface RestoredEffect {
  id: string;
  kind: "email" | "stripe" | "dunning";
  /** Which email, or which call. */
  what: string;
  customer: string | null;
  /**
   * performed: Resend or Stripe shows it, and it is not performed again. open: neither does. decided_anew: dunning and
   * seats decide on it by themselves once the project is live, after a read of Stripe, and never tell a step twice.
   */
  outcome: "performed" | "open" | "decided_anew";
  enqueued_at: Date;
}

/** Every write of the restore that is under way, in the order in which they were enqueued. */
export async function listRestored(sql: Sql): Promise<RestoredEffect[]> {
  return await sql<RestoredEffect[]>`
    select
      o.id, o.kind, coalesce(o.payload ->> 'template', o.payload ->> 'call', o.kind) as what, o.payload ->> 'customer' as customer,
      case
        when o.status <> 'withheld' then 'performed'
        when billing_private.is_decided_anew(o) or o.payload ->> 'call' = 'change_seats' then 'decided_anew'
        else 'open'
      end as outcome,
      o.created_at as enqueued_at
    from billing.outbox as o
    cross join (select r.id, r.restored_at from billing.restores as r where r.finished_at is null) as r
    where (o.status = 'withheld' and o.withheld_reason = 'restored')
      -- Recognized as it was enqueued.
      or (o.kind = 'email' and o.status = 'delivered' and o.attempts = 0 and o.created_at >= r.restored_at)
      or o.id in (
        select (a.detail ->> 'outbox_id')::bigint
        from billing.audit_events as a
        where a.action = 'effect.marked_as_performed' and a.occurred_at >= r.restored_at
      )
    order by o.id`;
}

/** How many of each kind came to which outcome. */
export function countRestored(effects: readonly RestoredEffect[]): Record<string, number> {
  const counts: Record<string, number> = {};
  for (const { kind, outcome } of effects) {
    const key = `${kind}_${outcome}`;
    counts[key] = (counts[key] ?? 0) + 1;
  }
  return counts;
}

/** For people: what is not known to be performed, and how much is. */
export function restoredAsText(effects: readonly RestoredEffect[], told: number): string {
  const of = (outcome: RestoredEffect["outcome"], kind?: string) =>
    effects.filter((effect) => effect.outcome === outcome && (kind === undefined || effect.kind === kind));
  const open = of("open");
  const emails = of("performed", "email").length;
  return [
    `${emails} of these emails left already, and ${of("performed", "stripe").length} calls were made: neither is repeated.`,
    `${told} emails of ours left since the backup that it does not know; what they told is not told again.`,
    `${of("decided_anew").length} evaluations, steps, charges and changes of seats are decided anew once the project is live, after a look at Stripe.`,
    open.length === 0
      ? "Nothing else waits."
      : `${open.length} did not leave, as far as Resend and Stripe show:`,
    ...open
      .slice(0, 50)
      .map(
        ({ id, what, customer, enqueued_at }) =>
          `  ${id} ${what} ${customer ?? ""} of ${enqueued_at.toISOString()}`,
      ),
    ...(open.length > 50 ? ["  more: select * from billing.restored_effects()"] : []),
  ].join("\n");
}
