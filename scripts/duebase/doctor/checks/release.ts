import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { hashOf } from "../../project/lock.ts";
import { deployCommand } from "../../project/our-names.ts";
import { type Check, type Finding, mayBeWrong, orRight, wrong } from "../check.ts";
import type { DoctorContext } from "../context.ts";

/** Whether database, files and this command are of one release; the functions' are asked for where they are called. */
export const release: Check = {
  name: "release",
  title: "release",
  async look(context) {
    const [row] = await context.sql<{ release: string }[]>`select billing.version() as release`;
    const database = row?.release ?? "unknown";
    const findings: Finding[] = [];
    if (database !== context.release) {
      findings.push(
        wrong(
          `the database is of release ${database}, this command of ${context.release}`,
          `npx duebase upgrade, then supabase db push --linked; or install the package of ${database}, and run its doctor`,
        ),
      );
    }
    findings.push(...(await filesOf(context, database)));
    return orRight(findings, `database${context.lock ? ", files" : ""} and this command are of ${database}`);
  },
};

async function filesOf({ lock, projectRoot }: DoctorContext, database: string): Promise<Finding[]> {
  if (lock === undefined || projectRoot === undefined) return [];
  const findings: Finding[] = [];
  if (lock.release !== database) {
    findings.push(
      wrong(
        `the files of this project are of release ${lock.release}, the database of ${database}`,
        `supabase db push --linked, then ${deployCommand(lock.config.sections)}`,
      ),
    );
  }
  const changed: string[] = [];
  for (const [path, hash] of Object.entries(lock.files)) {
    const content = await readFile(join(projectRoot, path)).catch(() => undefined);
    if (content === undefined || hashOf(content) !== hash) changed.push(path);
  }
  if (changed.length > 0) {
    const [first] = changed;
    findings.push(
      mayBeWrong(
        `${changed.length} of our files were changed or removed, such as ${first}`,
        "bring them back with git, or know that upgrade will stop there",
      ),
    );
  }
  return findings;
}
