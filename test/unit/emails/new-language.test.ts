import { cpSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { buildEmails, EMAIL_MODULE, languageFile } from "../../../scripts/emails/build.ts";
import { projectRoot } from "../../../scripts/local/project.ts";

// A language is one file, as docs/emails.md says: copied, renamed, translated. A project that has no compiler is told what it lacks.

let root: string;
beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), "duebase-emails-"));
  cpSync(join(projectRoot, "emails"), join(root, "emails"), { recursive: true });
  symlinkSync(join(projectRoot, "node_modules"), join(root, "node_modules"));
  writeFileSync(join(root, "package.json"), "{}");
});
afterEach(() => rmSync(root, { recursive: true, force: true }));

/** Builds the emails with French, made of German as the page says; `change` is what the translator did to it. */
async function buildWithFrench(change: (text: string) => string): Promise<string> {
  const german = readFileSync(join(root, "emails/languages/de.ts"), "utf8");
  const french = german.replace("export const de: Language", "export const fr: Language");
  writeFileSync(
    join(root, "emails/languages/fr.ts"),
    change(french.replace('code: "de"', 'code: "fr"')).replaceAll("Rechnung ansehen", "Voir la facture"),
  );
  const [path, content] = await languageFile(root);
  writeFileSync(join(root, path), content);
  return (await buildEmails(root)).get(EMAIL_MODULE) ?? "";
}

test("a copied language that is whole is built into the module", async () => {
  expect(await buildWithFrench((text) => text)).toContain("Voir la facture");
});

test("a sentence that is missing is named, and nothing is built", async () => {
  const without = (text: string) => text.replace(/^ {4}downloadPdf: .*\n/m, "");
  await expect(buildWithFrench(without)).rejects.toThrow("fr.ts: common.downloadPdf is missing");
});

test("a code that was not changed is named, as no customer would get the language", async () => {
  const forgotten = (text: string) => text.replace('code: "fr"', 'code: "de"');
  await expect(buildWithFrench(forgotten)).rejects.toThrow('fr.ts: its code has to be "fr"');
});
