import { type Check, mayBeWrong, right } from "../check.ts";

/** Who pays and is nobody here: their users have no access by has_feature(). */
export const access: Check = {
  name: "access",
  title: "who has access",
  async look({ sql }) {
    const payers = await sql<{ id: string }[]>`
      select distinct c.id
      from billing.customers as c
      join billing.subscriptions as s on s.customer = c.id
      where c.owner_id is null and s.status in ('active', 'trialing', 'past_due')
      order by c.id
      limit 10000`;
    const [first] = payers;
    if (first === undefined) return [right("every customer with a running subscription belongs to an owner")];
    return [
      mayBeWrong(
        `${payers.length} customers with a running subscription belong to nobody, such as ${first.id}: nobody has their access`,
        "tell whose they are: billing.link_customers; billing.owner_hints shows what Stripe named",
      ),
    ];
  },
};
