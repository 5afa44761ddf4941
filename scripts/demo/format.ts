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
  const format = new Intl.NumberFormat("en-US", { style: "currency", currency });
  const digits = format.resolvedOptions().maximumFractionDigits ?? 2;
  return format.format(Number(amount) / 10 ** digits);
}
