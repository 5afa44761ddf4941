import { InvalidArgumentError, Option } from "commander";
import { localStackDirectory } from "./package.ts";

/** The options that several commands have, spelled and explained the same in each. */
export const options = {
  json: () => new Option("--json", "print one JSON value, for programs"),
  yes: () => new Option("--yes", "ask nothing: every question is answered with yes"),
  dryRun: () => new Option("--dry-run", "show what would be done, and change nothing"),
  dir: () =>
    new Option(
      "--dir <path>",
      "the project: the folder that holds supabase/ (default: found from here upwards)",
    ),
  dbUrl: () =>
    new Option(
      "--db-url <url>",
      "the database, through the session pooler or direct (default: DUEBASE_DB_URL)",
    ),
  localDbUrl: () =>
    new Option(
      "--db-url <url>",
      "the database (default: DUEBASE_DB_URL, else that of the running local stack)",
    ),
  stackDir: () => new Option("--dir <path>", "where the local stack is kept").default(localStackDirectory()),
  projectRef: () =>
    new Option(
      "--project-ref <ref>",
      "the hosted project (default: the linked one, supabase/.temp/project-ref)",
    ),
};

/** An argument that has to be a whole number from 1 to 10000. */
export function wholeNumber(text: string): number {
  const number = Number(text);
  if (!Number.isInteger(number) || number < 1 || number > 10_000) {
    throw new InvalidArgumentError("not a whole number from 1 to 10000");
  }
  return number;
}

/** An argument that has to be a time with a zone. */
export function isoTime(text: string): Date {
  const time = new Date(text);
  // Without a zone it would mean this machine's, and another time on the next one.
  if (Number.isNaN(time.getTime()) || !/(Z|[+-]\d\d:?\d\d)$|^\d{4}-\d\d-\d\d$/.test(text)) {
    throw new InvalidArgumentError("not a time with a zone, such as 2026-12-01T09:00Z");
  }
  return time;
}
