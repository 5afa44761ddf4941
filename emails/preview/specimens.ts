import type { Brand, EmailName } from "../contract.ts";
import { emailNames } from "../rendering/render.ts";
import { templates } from "../rendering/templates.ts";
import { variants } from "./variants.ts";

/** One way an email can turn out, ready for `renderStoredEmail`. */
export interface Specimen {
  /** The template's name, and the variant's behind a dot. */
  name: string;
  template: EmailName;
  props: Record<string, unknown>;
  brand: Brand;
}

/** Every template as its preview shows it, followed by its variants. */
export function specimens(): Specimen[] {
  return emailNames.flatMap((template) => {
    const { brand, locale: _, ...props } = templates[template].Body.PreviewProps;
    const others = Object.entries<object>(variants[template]);
    return [
      { name: template, template, brand, props },
      ...others.map(([variant, difference]) => ({
        name: `${template}.${variant}`,
        template,
        brand,
        props: { ...props, ...difference },
      })),
    ];
  });
}
