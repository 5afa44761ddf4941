import { type Check, type Finding, orRight, wrong } from "../check.ts";

/** That functions of another project work here is a matter of the mode, and told there. */
const COPY = "project";

/** What the project itself says is wrong: jobs that cannot work, calls that are not answered, events that failed. */
export const jobs: Check = {
  name: "jobs",
  title: "jobs and events",
  async look({ sql }) {
    const problems = await sql<{ job: string; problem: string }[]>`
      select j.job, j.problem from billing.job_problems as j where j.job <> ${COPY} order by j.job`;
    const failed = await sql<{ status: string; amount: number; reason: string | null }[]>`
      select f.status, count(*)::integer as amount, min(f.error ->> 'message') as reason
      from billing.failed_webhooks as f
      where f.status = 'dead' or (f.status = 'quarantined' and f.last_failed_at > now() - interval '7 days')
      group by f.status`;
    const findings: Finding[] = problems.map(({ job, problem }) => {
      const [says = problem, cure] = problem.split(/[:;] (.*)/s);
      return wrong(`${job}: ${says}`, cure ?? "select * from billing.job_problems");
    });
    for (const { status, amount, reason } of failed) {
      findings.push(
        status === "dead"
          ? wrong(
              `${amount} events could not be projected (${reason})`,
              "select billing.replay_failed_webhook(event_id) for each row of billing.failed_webhooks, once the cause is gone",
            )
          : wrong(
              `${amount} events of the last week do not belong here (${reason})`,
              "correct livemode or stripe_account in billing.settings, then replay them; or remove the endpoint that sends them",
            ),
      );
    }
    return orRight(findings, "no job is kept from its work, and no event is dead or quarantined");
  },
};
