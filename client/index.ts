/**
 * What an application's pages need of Duebase, over supabase-js and the types of schema `billing`. Nothing here keeps
 * state or knows a framework.
 */

export type { Database } from "../supabase/functions/_duebase/database.gen.ts";
export { onBillingChange, type WaitOptions, waitForBilling } from "./changes.ts";
export { BillingRequestError, openCheckout, openPortal, type PortalFlow } from "./pages.ts";
export { billing } from "./schema.ts";
export { type BillingStatus, readBillingStatus, type Severity, severityOf } from "./status.ts";
