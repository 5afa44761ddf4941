import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import type { Command } from "commander";
import { options } from "../options.ts";
import { applyChanges, finishPending } from "../project/changes.ts";
import { requireLock } from "../project/lock.ts";
import { findProject } from "../project/project.ts";
import { Refusal, Terminal } from "../terminal.ts";
import { buildChangedEmails } from "../upgrade/emails.ts";

/** Adds `duebase emails build`. */
export function addEmails(program: Command): void {
  const emails = program.command("emails").description("the emails, where your project has their sources");
  emails
    .command("build")
    .description("build emails/ into the module that the functions carry")
    .addOption(options.dir())
    .option("--check", "write nothing; exit code 1 where the module is not what emails/ builds to")
    .addOption(options.json())
    .addHelpText(
      "after",
      `
Commit what it writes and deploy the functions. The packages it needs are your project's own: it names those that are missing.

Example:
  npx duebase emails build && npx supabase functions deploy duebase-deliver`,
    )
    .action((given: { dir?: string; check?: boolean; json?: boolean }) => build(given));
}

async function build(given: { dir?: string; check?: boolean; json?: boolean }): Promise<void> {
  const terminal = new Terminal(given);
  const project = findProject(given.dir);
  if (!given.check) finishPending(project);
  if (!requireLock(project).emails || !existsSync(join(project.root, "emails", "index.ts"))) {
    throw new Refusal(
      "This project has no sources of the emails: there is no emails/index.ts of Duebase's.",
      "Sources are put in by: npx duebase init --emails (in a project that has Duebase: npx duebase upgrade --emails)",
    );
  }
  const changes = (await buildChangedEmails(project, [])).filter(({ path, content }) => {
    const file = join(project.root, path);
    return !existsSync(file) || readFileSync(file, "utf8") !== content;
  });
  const paths = changes.map(({ path }) => path);
  if (given.check && paths.length > 0) {
    throw new Refusal(`${paths.join(", ")}: not what emails/ builds to.`, "Run: npx duebase emails build");
  }
  if (paths.length > 0) applyChanges(project, "emails build", changes);
  terminal.answer(
    { written: paths },
    paths.length === 0 ? "The module is what emails/ builds to." : `Wrote ${paths.join(", ")}.`,
  );
}
