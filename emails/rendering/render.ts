import { createElement } from "react";
import { renderToStaticMarkup } from "react-dom/server";
import type * as z from "zod";
import type { EmailErrorCode, EmailName, EmailProps, RenderedEmail, RenderOptions } from "../contract.ts";
import { chooseLocale } from "../languages/index.ts";
import { EmailError } from "./errors.ts";
import { shorten } from "./names.ts";
import { toPlainText } from "./plain-text.ts";
import { brandSchema, schemas } from "./schemas.ts";
import { templates } from "./templates.ts";

const doctype =
  '<!DOCTYPE html PUBLIC "-//W3C//DTD XHTML 1.0 Transitional//EN" "http://www.w3.org/TR/xhtml1/DTD/xhtml1-transitional.dtd">';
const longestSubject = 150;

/** The names of all emails. */
export const emailNames = Object.keys(templates) as EmailName[];

/** Whether there is an email of that name. */
export function isEmailName(name: string): name is EmailName {
  return Object.hasOwn(templates, name);
}

/**
 * An email, ready to be sent: the same props, brand and locales always give the same bytes in one runtime.
 *
 * @throws {EmailError} invalid_props or invalid_brand, naming the field; see `EmailErrorCode`.
 */
export function renderEmail<Name extends EmailName>(
  name: Name,
  props: EmailProps[Name],
  { brand, locales }: RenderOptions,
): RenderedEmail {
  if (!isEmailName(name)) {
    throw new EmailError("unknown_template", { template: name, problem: "there is no such template" });
  }
  const template = templates[name];
  const checkedProps = checked("invalid_props", name, schemas[name], props);
  const checkedBrand = checked("invalid_brand", name, brandSchema, brand);
  const locale = chooseLocale(locales, checkedBrand.defaultLocale);
  const addressed = { ...checkedProps, brand: checkedBrand, locale };
  const html = doctype + renderToStaticMarkup(createElement(() => template.Body(addressed)));
  const subject = shorten(template.subject(addressed).replace(/\s+/g, " ").trim(), longestSubject);
  return { subject, html, text: toPlainText(html), locale };
}

/**
 * The same for what comes out of the database as JSON: name and props are checked, not trusted.
 *
 * @throws {EmailError} also unknown_template.
 */
export function renderStoredEmail(name: string, props: unknown, options: RenderOptions): RenderedEmail {
  return renderEmail(name as EmailName, props as EmailProps[EmailName], options);
}

function checked<Value>(
  code: EmailErrorCode,
  template: string,
  schema: z.ZodType<Value>,
  value: unknown,
): Value {
  const result = schema.safeParse(value);
  if (result.success) return result.data;
  const [issue] = result.error.issues;
  const path = [
    ...(issue?.path ?? []),
    ...(issue?.code === "unrecognized_keys" ? issue.keys.slice(0, 1) : []),
  ];
  const field = path
    .map((part, index) => (typeof part === "number" ? `[${part}]` : `${index > 0 ? "." : ""}${String(part)}`))
    .join("");
  const problem =
    issue?.code === "unrecognized_keys" ? "there is no such field" : (issue?.message ?? "not valid");
  throw new EmailError(code, {
    template,
    field: code === "invalid_brand" ? `brand.${field}` : field,
    problem,
  });
}
