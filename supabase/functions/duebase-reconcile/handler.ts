import { type CronEndpointDependencies, createCronEndpoint } from "../_duebase/cron-endpoint.ts";

/** `duebase-reconcile`: reads at Stripe what no webhook brought. Called by the tick while something of it is due. */
export function createReconcileHandler(
  dependencies: CronEndpointDependencies,
): (request: Request) => Promise<Response> {
  return createCronEndpoint(dependencies);
}
