import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { projectRoot } from "../local/project.ts";
import { type Finding, findBannedWords } from "./banned-words.ts";

/** Text that people write, by the end of its name. */
const WRITTEN = /\.(ts|tsx|mjs|sql|md|toml|sh)$/;

/** Not checked: what programs write, what happened before, and what names the banned words to ban them. */
const EXEMPT =
  /(^|\/)(node_modules|\.\w+|findings|dist)\/|^supabase\/migrations\/|\.gen\.|^CHANGELOG\.md$|^docs\/glossary\.md$|banned-words/;

function writtenFiles(folder = ""): string[] {
  return readdirSync(join(projectRoot, folder), { withFileTypes: true }).flatMap((entry) => {
    const path = folder === "" ? entry.name : `${folder}/${entry.name}`;
    if (EXEMPT.test(entry.isDirectory() ? `${path}/` : path)) return [];
    if (entry.isDirectory()) return writtenFiles(path);
    return WRITTEN.test(path) ? [path] : [];
  });
}

function line({ path, line, word, say }: Finding): string {
  return `${path}${line > 0 ? `:${line}` : ""}: "${word}". Say: ${say}`;
}

const found = writtenFiles().flatMap((path) =>
  findBannedWords(path, readFileSync(join(projectRoot, path), "utf8")),
);
for (const finding of found) console.log(line(finding));
if (found.length > 0) process.exitCode = 1;
