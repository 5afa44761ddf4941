import { mkdir, rm, writeFile } from "node:fs/promises";
import { dirname, join, relative } from "node:path";
import { fileURLToPath } from "node:url";
import { languages } from "../languages/index.ts";
import { emailNames } from "../rendering/render.ts";
import { variants } from "./variants.ts";

const emails = dirname(dirname(fileURLToPath(import.meta.url)));

/** How the way a template's preview shows it is called among its variants. */
const asPreviewed = "preview";

/**
 * Writes a folder for React Email's preview server: a folder for each template, and in it a file for each variant in
 * each language, `<variant>.<language>.tsx`. They import the templates, so what is changed there is redrawn at once.
 * What was in the folder before goes.
 */
export async function writeGallery(folder: string): Promise<void> {
  await rm(folder, { recursive: true, force: true });
  for (const template of emailNames) {
    const shelf = join(folder, template);
    await mkdir(shelf, { recursive: true });
    for (const variant of [asPreviewed, ...Object.keys(variants[template])]) {
      for (const { code } of languages) {
        await writeFile(join(shelf, `${variant}.${code}.tsx`), page(shelf, template, variant, code));
      }
    }
  }
}

function page(shelf: string, template: string, variant: string, locale: string): string {
  const from = (file: string) => JSON.stringify(relative(shelf, join(emails, file)).replaceAll("\\", "/"));
  const difference =
    variant === asPreviewed ? "" : `...variants[${JSON.stringify(template)}][${JSON.stringify(variant)}], `;
  return `import Template from ${from(`${template}.tsx`)};
import { variants } from ${from("preview/variants.ts")};

export default function Page(props) {
  return <Template {...props} />;
}
Page.PreviewProps = { ...Template.PreviewProps, ${difference}locale: ${JSON.stringify(locale)} };
`;
}
