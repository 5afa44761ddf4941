/** What the package `duebase-local-inbox` exports: the server, and the types of what it takes and gives back. */

export type { Fault, FaultMatch } from "../service/faults.ts";
export type { LedgerRequest, RequestFilter } from "../service/ledger.ts";
export type { Attempt, DeliveryOptions, ReleaseOptions } from "../service/webhooks.ts";
export type { MailFilter, SentMail } from "./core/ledger.ts";
export type { Bounce, EmailEventType } from "./core/outcomes.ts";
export type { LocalDomain } from "./http/domain-routes.ts";
export type { FaultAction } from "./http/faults.ts";
export { type Inbox, type InboxOptions, startInbox } from "./server.ts";
