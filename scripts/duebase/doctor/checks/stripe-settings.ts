import type { Sql } from "postgres";
import { type Check, type Finding, mayBeWrong, wrong } from "../check.ts";
import { type Question, questions } from "../questions.ts";

/** How far back subscriptions that Stripe ended are looked for, in days. */
const LOOK_BACK = 90;

/** Stripe's retries: they end later than the policy, and leave the subscription past due. */
export const stripeRetries: Check = {
  name: "stripe_retries",
  title: "Stripe's retries",
  async look({ sql }) {
    const answer = await answerTo(sql, questions.stripe_retries);
    const ended = await endedByStripe(sql, answer.at);
    const [first] = ended;
    if (first !== undefined) {
      return [
        wrong(
          `Stripe itself ended ${ended.length} subscriptions after its retries, such as ${first}`,
          `${questions.stripe_retries.cure}: ${questions.stripe_retries.link}; then answer: npx duebase doctor --answer stripe_retries=yes`,
        ),
      ];
    }
    return [answer.finding];
  },
};

/** Mails that Stripe itself sends. */
export const stripeEmails: Check = {
  name: "stripe_emails",
  title: "Stripe's own mails",
  look: async ({ sql }) => [(await answerTo(sql, questions.stripe_emails)).finding],
};

/** Unanswered, or answered: amber, as nobody can look. Answered with no: red. */
async function answerTo(sql: Sql, question: Question): Promise<{ at: Date | null; finding: Finding }> {
  const [row] = await sql<{ is_right: boolean; answered_at: Date }[]>`
    select a.is_right, a.answered_at from billing.setup_answers as a where a.question = ${question.name}`;
  const again = `npx duebase doctor --answer ${question.name}=yes`;
  if (!row) {
    return {
      at: null,
      finding: mayBeWrong(`not asked yet: ${question.asks}`, `look at ${question.link}, then: ${again}`),
    };
  }
  const day = row.answered_at.toISOString().slice(0, 10);
  return row.is_right
    ? { at: row.answered_at, finding: mayBeWrong(`set right, as you said on ${day}; no API shows it`) }
    : {
        at: null,
        finding: wrong(
          `not set right, as you said on ${day}`,
          `${question.cure} (${question.link}); then: ${again}`,
        ),
      };
}

/** Subscriptions that ended as Stripe\u2019s retries were over, and not by a step of ours, since it was said to be right. */
async function endedByStripe(sql: Sql, since: Date | null): Promise<string[]> {
  const rows = await sql<{ id: string }[]>`
    select s.id
    from billing.subscriptions as s
    where s.status = 'canceled'
      and s.cancellation_details ->> 'reason' = 'payment_failed'
      and s.ended_at > greatest(now() - ${`${LOOK_BACK} days`}::interval, ${since}::timestamptz)
      and not exists (select from billing.dunning_cases as c where c.subscription = s.id and c.outcome = 'ended')
    order by s.ended_at desc
    limit 1000`;
  return rows.map(({ id }) => id);
}
