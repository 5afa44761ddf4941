import { readdir, readFile, rm } from "node:fs/promises";
import { dirname, join } from "node:path";

/** A path that a declaration names another by: in `from`, or in `import()`. */
const RELATIVE = /(?:from |import\(|import )"(\.{1,2}\/[^"]+)\.ts"/g;

/**
 * Removes the declarations in a folder that none of the given ones reaches: of a module that is bundled and not exported
 * nobody reads the types.
 *
 * @param entries absolute paths of declarations
 * @throws if one is named that is not there
 */
export async function removeUnreachable(folder: string, entries: readonly string[]): Promise<void> {
  const reached = new Set<string>();
  const waiting = [...entries];
  for (let file = waiting.pop(); file !== undefined; file = waiting.pop()) {
    if (reached.has(file)) continue;
    reached.add(file);
    const text = await readFile(file, "utf8");
    for (const [, path] of text.matchAll(RELATIVE)) waiting.push(join(dirname(file), `${path}.d.ts`));
  }
  for (const entry of await readdir(folder, { recursive: true, withFileTypes: true })) {
    const file = join(entry.parentPath, entry.name);
    if (entry.isFile() && !reached.has(file)) await rm(file);
  }
}
