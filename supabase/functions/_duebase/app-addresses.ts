import type { CallBilling } from "./database.ts";
import { DatabaseMisconfiguredError } from "./errors.ts";
import type { AppAddresses } from "./return-url.ts";

/** A change in Studio is in force after a minute at the latest. */
const KEPT_MS = 60_000;

/**
 * Reads the application's addresses from billing.settings, and keeps them for a minute: every preflight asks. While
 * the database is away those last read are good enough to say so to the application's pages.
 */
export function createAddressReader(
  callBilling: CallBilling,
  now: () => number = Date.now,
): () => Promise<AppAddresses> {
  let kept: { addresses: AppAddresses; readAt: number } | undefined;
  return async () => {
    if (kept !== undefined && now() - kept.readAt < KEPT_MS) return kept.addresses;
    try {
      const addresses = addressesIn(await callBilling("read_app_addresses", "{}"));
      kept = { addresses, readAt: now() };
    } catch (error) {
      if (kept === undefined) throw error;
    }
    return kept.addresses;
  };
}

function addressesIn(answer: unknown): AppAddresses {
  const { app_url, billing_url } = (answer ?? {}) as Partial<AppAddresses>;
  if (typeof app_url !== "string") {
    throw new DatabaseMisconfiguredError({ reason: "billing.settings has no app_url." });
  }
  return { app_url, billing_url: typeof billing_url === "string" ? billing_url : null };
}
