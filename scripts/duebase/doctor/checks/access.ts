import { compareAccess, theirRows } from "../../history/moving-in.ts";
import { type Check, type Finding, mayBeWrong, orRight } from "../check.ts";
import type { DoctorContext } from "../context.ts";

const QUERY = `--access-query "select user_id as owner_id, \u2026 as feature from \u2026"`;

/** Who would lose access: who pays and is nobody here, and who has it in the application's own table alone. */
export const access: Check = {
  name: "access",
  title: "who has access",
  async look(context) {
    const findings = [...(await payersOfNobody(context)), ...(await onlyInTheirTable(context))];
    return orRight(
      findings,
      context.accessQuery === undefined
        ? `every customer with a running subscription belongs to an owner; before your policies ask has_feature(), compare: npx duebase doctor ${QUERY}`
        : "nobody who has access in your table would lose it, and every customer with a running subscription belongs to an owner",
    );
  },
};

async function payersOfNobody({ sql }: DoctorContext): Promise<Finding[]> {
  const payers = await sql<{ id: string }[]>`
    select distinct c.id
    from billing.customers as c
    join billing.subscriptions as s on s.customer = c.id
    where c.owner_id is null and s.status in ('active', 'trialing', 'past_due')
    order by c.id
    limit 10000`;
  const [first] = payers;
  if (first === undefined) return [];
  return [
    mayBeWrong(
      `${payers.length} customers with a running subscription belong to nobody, such as ${first.id}: nobody has their access`,
      "tell whose they are: npx duebase backfill --report-only --links-query, or billing.link_customers; billing.owner_hints shows what Stripe named",
    ),
  ];
}

/** Amber: going live takes nobody's access. It is lost where policies ask has_feature(). */
async function onlyInTheirTable({ sql, accessQuery }: DoctorContext): Promise<Finding[]> {
  if (accessQuery === undefined) return [];
  const { lost } = await compareAccess(sql, await theirRows(sql, accessQuery, ["owner_id", "feature"]));
  const [first] = lost;
  if (first === undefined) return [];
  return [
    mayBeWrong(
      `${lost.length} have access in your table and would lose it, such as ${first.owner_id} to ${first.feature}`,
      "all of them, and who would gain it: npx duebase backfill --report-only with the same --access-query; link their customers (--links-query) before your policies ask has_feature()",
    ),
  ];
}
