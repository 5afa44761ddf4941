import type { SelfReport } from "../../../supabase/functions/_duebase/self-report.ts";
import { type Finding, mayBeWrong } from "./check.ts";
import type { DoctorContext } from "./context.ts";

/** What `duebase-deliver` says of itself; or what to say instead, where the database's call does not get through. */
export async function roundTripReport(
  context: DoctorContext,
  what: string,
): Promise<{ report: SelfReport; instead?: undefined } | { report?: undefined; instead: Finding }> {
  const trip = await context.roundTrip();
  if (trip.is === "answered") return { report: trip.report };
  return {
    instead: mayBeWrong(`${what} is not known`, "first mend what \u201cdatabase to function\u201d says"),
  };
}
