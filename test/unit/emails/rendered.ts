import type { Brand, EmailName, RenderedEmail } from "../../../emails/contract.ts";
import { emailNames, renderStoredEmail } from "../../../emails/index.ts";
import { specimens } from "../../../emails/preview/specimens.ts";

/** An email as the tests look at it. */
export interface Sample extends RenderedEmail {
  name: string;
  template: EmailName;
  brand: Brand;
  props: Record<string, unknown>;
}

/** Every template in every variant, in each of the locales. */
export function samples(...locales: string[]): Sample[] {
  return locales.flatMap((locale) =>
    specimens().map(({ name, template, brand, props }) => ({
      ...renderStoredEmail(template, props, { brand, locales: [locale] }),
      name: `${name} (${locale})`,
      template,
      brand,
      props,
    })),
  );
}

/** The props a template's preview shows, to be changed by a test. */
export function previewOf(template: EmailName): { brand: Brand; props: Record<string, unknown> } {
  const found = specimens().find(({ name }) => name === template);
  if (!found) throw new Error(`no template among ${emailNames.join(", ")} is called ${template}`);
  return found;
}

/** The props by which a template greets a customer; none where it goes to the operator. */
export function customerNamed(template: EmailName, name: string): object {
  return template === "dispute-opened" ? {} : { customerName: name };
}

/** The props by which a template names a plan; none where its invoices do, or it names none. */
export function planNamed(template: EmailName, name: string): object {
  if (template.startsWith("payment-failed") || template === "dispute-opened") return {};
  if (template !== "plan-changed") return { productName: name };
  return { before: [{ name, quantity: 1 }], after: [{ name, quantity: 2 }] };
}

/** A template's preview with some props replaced. */
export function render(
  template: EmailName,
  changes: object = {},
  locale = "en",
  brand: object = {},
): RenderedEmail {
  const preview = previewOf(template);
  return renderStoredEmail(
    template,
    { ...preview.props, ...changes },
    { brand: { ...preview.brand, ...brand }, locales: [locale] },
  );
}

/** The opening tags of an email: React writes it, so a pattern tells them from text. */
export function tags(html: string): { name: string; attributes: Record<string, string> }[] {
  return [...html.replace(/<!--[\s\S]*?-->/g, "").matchAll(/<([a-z0-9]+)((?:\s[^<>]*)?)>/g)].map(
    ([, name = "", rest = ""]) => ({
      name,
      attributes: Object.fromEntries(
        [...rest.matchAll(/([a-zA-Z-]+)="([^"]*)"/g)].map(([, key = "", value = ""]) => [key, value]),
      ),
    }),
  );
}

/** What stands between two tags, without markup. */
export function contentOf(html: string, name: string): string {
  const content = html.match(new RegExp(`<${name}\\b[^>]*>([\\s\\S]*?)</${name}>`))?.[1] ?? "";
  return content
    .replace(/<[^>]*>/g, "")
    .replace(
      /&(#x27|amp|lt|gt|quot);/g,
      (_, entity: string) => ({ "#x27": "'", amp: "&", lt: "<", gt: ">", quot: '"' })[entity] ?? "",
    );
}
