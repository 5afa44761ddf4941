import { type Check, mayBeWrong, right, wrong } from "../check.ts";

/** Mirror or live, and whose database it is. */
export const mode: Check = {
  name: "mode",
  title: "mode",
  timeout: 20_000,
  async look(context) {
    const { mode: current, project_ref } = await context.settings();
    if (current === "mirror") {
      return [right("mirror: everything is received, and nothing leaves (npx duebase go-live)")];
    }
    // What counts is where the functions run, and they know.
    const trip = await context.roundTrip();
    const here = trip.is === "answered" ? trip.report.project : context.projectRef;
    if (here === undefined) {
      return [
        mayBeWrong(
          `live as ${project_ref}, and which project this is was not said`,
          "name it with --project-ref",
        ),
      ];
    }
    if (project_ref !== here) {
      return [
        wrong(
          `the database went live as ${project_ref}, and this is ${here}: it is a copy, and nothing leaves`,
          "if this is the original now: npx duebase go-live",
        ),
      ];
    }
    return [right(`live as ${project_ref}`)];
  },
};
