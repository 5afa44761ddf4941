export type * from "./contract.ts";
export { EmailError } from "./rendering/errors.ts";
export { emailNames, isEmailName, renderEmail, renderStoredEmail } from "./rendering/render.ts";
