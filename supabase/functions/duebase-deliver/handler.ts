import { type CronEndpointDependencies, createCronEndpoint } from "../_duebase/cron-endpoint.ts";

/** `duebase-deliver`: performs the effects of the outbox. Called when one is enqueued, and every minute while one is due. */
export function createDeliverHandler(
  dependencies: CronEndpointDependencies,
): (request: Request) => Promise<Response> {
  return createCronEndpoint(dependencies);
}
