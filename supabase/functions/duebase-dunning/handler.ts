import { type CronEndpointDependencies, createCronEndpoint } from "../_duebase/cron-endpoint.ts";

/** `duebase-dunning`: chases what is overdue. Called by cron once a day, and again by a watchdog where a day's run is missing. */
export function createDunningHandler(
  dependencies: CronEndpointDependencies,
): (request: Request) => Promise<Response> {
  return createCronEndpoint(dependencies);
}
