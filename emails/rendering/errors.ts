import type { EmailErrorCode } from "../contract.ts";

/** An email that cannot be rendered. `template` and `field` say where; retrying the same input cannot help. */
export class EmailError extends Error {
  override readonly name = "EmailError";
  readonly code: EmailErrorCode;
  readonly template: string;
  /** The path of the offending field, such as `invoices[0].amountDue`; empty where no single one is to blame. */
  readonly field: string;

  constructor(code: EmailErrorCode, at: { template: string; field?: string; problem: string }) {
    const field = at.field ?? "";
    super([`email ${at.template}`, field, at.problem].filter(Boolean).join(": "));
    this.code = code;
    this.template = at.template;
    this.field = field;
  }
}
