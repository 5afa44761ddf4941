import { formatMoney } from "../../emails/rendering/format.ts";

export const hour = 3600;
export const day = 24 * hour;

/** A day as people write it, UTC. */
export function date(at: Date | string | null): string {
  if (at === null) return "–";
  return new Date(at).toLocaleDateString("en-US", {
    month: "short",
    day: "numeric",
    year: "numeric",
    timeZone: "UTC",
  });
}

/** An amount in minor units, as people write it. */
export function money(amount: bigint | number | string, currency: string): string {
  return formatMoney(String(amount), currency, "en-US");
}
