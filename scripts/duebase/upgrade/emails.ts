import { cpSync, existsSync, mkdirSync, rmSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import { BUILD_PACKAGES, buildEmails, languageFile } from "../../emails/build.ts";
import { currentHash } from "../project/changed-files.ts";
import type { FileChange } from "../project/changes.ts";
import { hashOf, type Lock } from "../project/lock.ts";
import type { Project } from "../project/project.ts";
import type { ReleaseFile } from "../release-package.ts";
import { Refusal } from "../terminal.ts";

/** What becomes of the sources of the emails in an upgrade. */
export interface EmailUpgrade {
  changes: FileChange[];
  /** Files that stay as the team changed them. */
  kept: string[];
  /** Those of them that the release changed as well: a person merges these. */
  toMerge: string[];
}

/**
 * Sorts the sources of the emails: what the team has not touched is replaced, what it changed stays.
 *
 * @param sources those of the new release
 */
export function sortEmails(project: Project, lock: Lock, sources: readonly ReleaseFile[]): EmailUpgrade {
  const fresh = new Map(sources.map(({ path, content }) => [path, content]));
  const paths = new Set([
    ...Object.keys(lock.files).filter((path) => path.startsWith("emails/")),
    ...fresh.keys(),
  ]);
  const result: EmailUpgrade = { changes: [], kept: [], toMerge: [] };
  for (const path of [...paths].sort()) {
    const content = fresh.get(path);
    const [base, ours, theirs] = [
      lock.files[path],
      content === undefined ? undefined : hashOf(content),
      currentHash(project, path),
    ];
    if (theirs === base || theirs === ours) {
      if (theirs !== ours) result.changes.push({ path, content: content ?? null });
      continue;
    }
    result.kept.push(path);
    if (ours !== base) result.toMerge.push(path);
  }
  return result;
}

/**
 * Builds the module of emails as they will be after `changes`, before anything is changed.
 *
 * @throws Refusal where packages are missing or the sources do not build
 */
export async function buildChangedEmails(
  project: Project,
  changes: readonly FileChange[],
): Promise<FileChange[]> {
  requireBuildPackages(project);
  // Inside the project, so that its packages are found from there.
  const place = join(project.supabase, ".duebase-emails");
  rmSync(place, { recursive: true, force: true });
  try {
    mkdirSync(place);
    if (existsSync(join(project.root, "emails"))) {
      cpSync(join(project.root, "emails"), join(place, "emails"), { recursive: true });
    }
    for (const { path, content } of changes) {
      if (content === null) rmSync(join(place, path), { force: true });
      else {
        mkdirSync(dirname(join(place, path)), { recursive: true });
        writeFileSync(join(place, path), content);
      }
    }
    const [path, content] = await languageFile(place);
    writeFileSync(join(place, path), content);
    const built = [[path, content] as const, ...(await buildEmails(place))];
    return built.map(([path, content]) => ({ path, content }));
  } catch (error) {
    throw new Refusal(
      `The emails do not build: ${error instanceof Error ? error.message : error}`,
      "Put the sources in emails/ right; nothing was changed.",
      { cause: error },
    );
  } finally {
    rmSync(place, { recursive: true, force: true });
  }
}

/** @throws Refusal naming the packages that a build needs and the project lacks */
export function requireBuildPackages(project: Project): void {
  const from = createRequire(join(project.root, "package.json"));
  const missing = BUILD_PACKAGES.filter((name) => {
    try {
      from.resolve(name);
      return false;
    } catch {
      return true;
    }
  });
  if (missing.length === 0) return;
  throw new Refusal(
    `Building the emails needs packages that this project lacks: ${missing.join(", ")}.`,
    `npm install --save-dev ${missing.join(" ")}`,
  );
}
