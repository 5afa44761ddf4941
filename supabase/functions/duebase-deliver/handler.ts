import { type CronEndpointDependencies, createCronEndpoint } from "../_duebase/cron-endpoint.ts";

/** `duebase-deliver`: performs what the outbox owes. Woken by whoever owes something, and every minute while something is due. */
export function createDeliverHandler(
  dependencies: CronEndpointDependencies,
): (request: Request) => Promise<Response> {
  return createCronEndpoint(dependencies);
}
