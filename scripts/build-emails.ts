/**
 * Builds emails/ into the one module the functions carry: see emails/build.ts.
 *
 *   npx tsx scripts/build-emails.ts            writes emails/languages/all.gen.ts and supabase/functions/_duebase/emails.gen.js and .d.ts
 *   npx tsx scripts/build-emails.ts --check    writes nothing; fails where they are not what would be written
 */
import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { buildEmails, EMAIL_MODULE, languageFile } from "./emails/build.ts";
import { projectRoot as root } from "./local/project.ts";

const isCheck = process.argv.includes("--check");
const languages = await languageFile(root);
if (!isCheck) await writeFile(join(root, languages[0]), languages[1]);
const files = new Map([languages, ...(await buildEmails(root))]);

if (isCheck) {
  const stale = [];
  for (const [path, content] of files) {
    if ((await readFile(join(root, path), "utf8").catch(() => "")) !== content) stale.push(path);
  }
  if (stale.length > 0) {
    console.error(`${stale.join(" and ")}: not what emails/ builds to. Run: npx tsx scripts/build-emails.ts`);
    process.exitCode = 1;
  }
} else {
  for (const [path, content] of files) await writeFile(join(root, path), content);
  console.log(`${EMAIL_MODULE}: ${Math.ceil(Buffer.byteLength(files.get(EMAIL_MODULE) ?? "") / 1000)} kB`);
}
