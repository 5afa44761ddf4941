import { type Check, right, wrong } from "../check.ts";
import { roundTripReport } from "../round-trip.ts";

/** Whether functions reach schema billing: it is exposed, and their key is the right one. */
export const dataApi: Check = {
  name: "data_api",
  title: "exposed schema",
  timeout: 20_000,
  async look(context) {
    const { report, instead } = await roundTripReport(context, "whether schema billing is exposed");
    if (!report) return [instead];
    const { is, says } = report.database;
    if (is === "ok") return [right("the functions reach schema billing through the Data API")];
    return [
      wrong(
        `the functions do not reach the database: ${says ?? is}`,
        "add billing to the exposed schemas (dashboard: Settings, Data API), or: npx duebase connect",
      ),
    ];
  },
};
