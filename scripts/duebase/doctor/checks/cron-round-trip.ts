import { type Check, right, wrong } from "../check.ts";

/** Database, pg_net, function, and back: as the tick calls, signed with the secret from Vault. */
export const cronRoundTrip: Check = {
  name: "cron_round_trip",
  title: "database to function",
  timeout: 20_000,
  async look(context) {
    const trip = await context.roundTrip();
    if (trip.is === "answered") return [right(`duebase-deliver answered the database in ${trip.took} ms`)];
    const [problem, ...cure] = trip.problem.split(/[:;] (.*)/s);
    return [wrong(problem ?? trip.problem, cure.join("").trim() || "see billing.outbound_calls")];
  },
};
