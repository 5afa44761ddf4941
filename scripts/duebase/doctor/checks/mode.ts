import type { Sql } from "postgres";
import { LOCAL_PROJECT } from "../../../../supabase/functions/_duebase/project-ref.ts";
import { type Check, mayBeWrong, right, wrong } from "../check.ts";
import type { DoctorContext, RoundTrip } from "../context.ts";

/**
 * What is wrong with functions of an installation of one's own that has no name of its own: a copy of it would have the
 * same name, and send as well.
 *
 * @returns undefined where the project has a name, is the local stack, or did not answer
 */
export function withoutName(trip: RoundTrip): { says: string; cure: string } | undefined {
  if (trip.is !== "answered" || trip.report.project !== LOCAL_PROJECT || trip.report.local_stack === true) {
    return undefined;
  }
  return {
    says: `the functions take this installation for \u201c${LOCAL_PROJECT}\u201d, as they take every other one: a copy of it could not be told from it, and would send as well`,
    cure: "give this installation a name that no other has, as DUEBASE_PROJECT_REF among the variables of its Edge Functions; then restart them",
  };
}

/** Mirror or live, and whose database it is. */
export const mode: Check = {
  name: "mode",
  title: "mode",
  timeout: 20_000,
  async look(context) {
    const { mode: current, project_ref } = await context.settings();
    const trip = await context.roundTrip();
    const unnamed = withoutName(trip);
    if (unnamed) return [wrong(unnamed.says, unnamed.cure)];
    if (current === "mirror") {
      return [right("mirror: everything is received, and nothing leaves (npx duebase go-live)")];
    }
    const here = whereThisIs(context.projectRef, trip);
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
          "if this is the original now: npx duebase go-live; if not: npx duebase mirror",
        ),
      ];
    }
    const others = await functionsOfAnotherProject(context.sql);
    if (others === undefined) return [right(`live as ${project_ref}`)];
    return [
      wrong(
        others.split(": ")[0] ?? others,
        "see where they are deployed: they have the address and the key of this database, and should not",
      ),
    ];
  },
};

/** The database's address tells of a copy, whatever functions it calls; where it tells nothing, these know. */
function whereThisIs(named: DoctorContext["projectRef"], trip: RoundTrip): string | undefined {
  if (named !== undefined && named !== LOCAL_PROJECT) return named;
  return trip.is === "answered" ? trip.report.project : named;
}

async function functionsOfAnotherProject(sql: Sql): Promise<string | undefined> {
  const [row] = await sql<{ problem: string }[]>`
    select j.problem from billing.job_problems as j where j.job = 'project'`;
  return row?.problem;
}
