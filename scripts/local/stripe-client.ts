import Stripe from "stripe";
import { localKeys } from "./keys.ts";

/**
 * Stripe's own client of the local Stripe, as an application's server side has it.
 *
 * @param url the local Stripe's address
 */
export function stripeAt(url: string): Stripe {
  const { hostname: host, port } = new URL(url);
  return new Stripe(localKeys.stripeSecretKey, { host, port, protocol: "http", telemetry: false });
}
