import {
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmdirSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { dirname, join } from "node:path";
import { Refusal } from "../terminal.ts";
import { hashOf } from "./lock.ts";
import type { Project } from "./project.ts";

/** What becomes of one file. */
export interface FileChange {
  /** From the project's root, with forward slashes. */
  path: string;
  /** What it will hold; null: it is removed. */
  content: string | Buffer | null;
}

/** What was decided, as it is kept until it is done. */
interface Plan {
  command: string;
  /** `before` and `after` are hashes; null: the file is not there. */
  files: { path: string; before: string | null; after: string | null }[];
}

const PENDING = "supabase/.duebase-pending";
const PLAN = "plan.json";

/**
 * Makes changes to files, all of them or none. They are written down beside the project first; whoever is killed after
 * that is completed by the next command (`finishPending`), and whoever is killed before has changed nothing.
 *
 * @param reach called after each step, for tests that stop there
 */
export function applyChanges(
  project: Project,
  command: string,
  changes: readonly FileChange[],
  reach: (step: string) => void = () => {},
): void {
  const pending = join(project.root, PENDING);
  rmSync(pending, { recursive: true, force: true });
  mkdirSync(pending, { recursive: true });
  const plan: Plan = { command, files: [] };
  for (const [index, { path, content }] of changes.entries()) {
    plan.files.push({
      path,
      before: hashAt(project, path),
      after: content === null ? null : hashOf(content),
    });
    if (content !== null) writeFileSync(join(pending, String(index)), content);
    reach(`kept ${path}`);
  }
  writeFileSync(join(pending, `${PLAN}.new`), JSON.stringify(plan));
  reach("written down");
  renameSync(join(pending, `${PLAN}.new`), join(pending, PLAN));
  reach("decided");
  carryOut(project, plan, reach);
}

/**
 * Completes what a killed command had decided.
 *
 * @returns the command that is complete now; undefined where nothing was pending
 * @throws Refusal where a file has been changed since, naming it; nothing is touched then
 */
export function finishPending(project: Project): string | undefined {
  const file = join(project.root, PENDING, PLAN);
  if (!existsSync(file)) {
    // Killed before anything was decided.
    rmSync(join(project.root, PENDING), { recursive: true, force: true });
    return undefined;
  }
  const plan = JSON.parse(readFileSync(file, "utf8")) as Plan;
  carryOut(project, plan, () => {});
  return plan.command;
}

/** The command that was killed halfway, if one was. */
export function pendingCommand(project: Project): string | undefined {
  const file = join(project.root, PENDING, PLAN);
  return existsSync(file) ? (JSON.parse(readFileSync(file, "utf8")) as Plan).command : undefined;
}

function carryOut(project: Project, plan: Plan, reach: (step: string) => void): void {
  const changed = plan.files.filter(({ path, before, after }) => {
    const now = hashAt(project, path);
    return now !== before && now !== after;
  });
  if (changed.length > 0) {
    throw new Refusal(
      `duebase ${plan.command} was interrupted, and these files were changed since: ${changed.map(({ path }) => path).join(", ")}`,
      `Bring them back as they were, or remove ${PENDING} and bring back everything from git; then run it again.`,
    );
  }
  const pending = join(project.root, PENDING);
  for (const [index, { path, after }] of plan.files.entries()) {
    const target = join(project.root, path);
    if (after === null) {
      rmSync(target, { force: true });
      removeEmptyFolders(project, dirname(path));
    } else if (hashAt(project, path) !== after) {
      mkdirSync(dirname(target), { recursive: true });
      // Copied first: a rename out of the pending folder could not be repeated.
      const fresh = `${target}.duebase-new`;
      writeFileSync(fresh, readFileSync(join(pending, String(index))));
      renameSync(fresh, target);
    }
    reach(`done ${path}`);
  }
  rmSync(join(pending, PLAN));
  reach("done");
  rmSync(pending, { recursive: true, force: true });
}

function hashAt(project: Project, path: string): string | null {
  try {
    return hashOf(readFileSync(join(project.root, path)));
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return null;
    throw error;
  }
}

/** Folders that a removed file leaves empty, up to supabase/ or the root. */
function removeEmptyFolders(project: Project, folder: string): void {
  if (folder === "." || folder === "supabase") return;
  const path = join(project.root, folder);
  if (!existsSync(path) || readdirSync(path).length > 0) return;
  rmdirSync(path);
  removeEmptyFolders(project, dirname(folder));
}
