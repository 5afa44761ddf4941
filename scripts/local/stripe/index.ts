/** What the package `duebase-local-stripe` exports: the server, and the types of what it takes and gives back. */

export type { Fault, FaultMatch } from "../service/faults.ts";
export type { LedgerRequest, RequestFilter } from "../service/ledger.ts";
export type { Attempt, DeliveryOptions, ReleaseOptions } from "../service/webhooks.ts";
export type { ToldObject } from "./adopt.ts";
export type { LoggedEvent } from "./core/event-log.ts";
export type { Effect, EffectFilter, EffectKind } from "./core/ledger.ts";
export { defaultSettings, type Settings } from "./core/settings.ts";
export type { FaultAction } from "./http/faults.ts";
export { type LocalStripe, type LocalStripeOptions, startLocalStripe } from "./server.ts";
