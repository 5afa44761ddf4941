export type * from "./contract.ts";
export { EmailError } from "./errors.ts";
export { emailNames, isEmailName, renderEmail, renderStoredEmail } from "./render.ts";
