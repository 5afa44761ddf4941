import { EmailError, renderStoredEmail } from "../../_duebase/emails.gen.js";
import type { Run } from "../run.ts";

type Brand = Parameters<typeof renderStoredEmail>[2]["brand"];

/** An alert that was written from a template. */
export interface WrittenAlert {
  template: string;
  subject: string;
  html: string;
  text: string;
}

/**
 * The mail that an alert brings along, `mail: {template, props, brand}`, in the project's own language. Undefined where
 * it brings none, or one that cannot be written: then the alert goes out in plain words, as it must go out.
 */
export function writeAlert(payload: unknown, run: Run): WrittenAlert | undefined {
  const mail = (payload as { mail?: { template?: unknown; props?: unknown; brand?: Brand } } | null)?.mail;
  if (!mail?.brand || typeof mail.template !== "string") return undefined;
  const { template, props, brand } = mail;
  try {
    const { subject, html, text } = run.render(() => renderStoredEmail(template, props, { brand }));
    return { template, subject, html, text };
  } catch (error) {
    if (!(error instanceof EmailError)) throw error;
    run.log("error", { kind: "alert", type: template, outcome: error.code, duration_ms: 0 });
    return undefined;
  }
}
