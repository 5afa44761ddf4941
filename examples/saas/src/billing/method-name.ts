import type { Language } from "../../../../emails/languages/index.ts";
import type { PaymentMethod } from "./read-access.ts";

const NAMES: Record<string, string> = { visa: "Visa", mastercard: "Mastercard", amex: "American Express" };

function partsOf({ brand, last4, expires }: PaymentMethod) {
  return {
    name: brand === null ? undefined : (NAMES[brand] ?? brand),
    kind: expires ? ("card" as const) : ("other" as const),
    last4: last4 ?? undefined,
  };
}

/** Within a sentence, as mails name it: "Visa ending in 4242". */
export const methodInText = (mails: Language, method: PaymentMethod): string =>
  mails.common.method(partsOf(method));

/** Standing by itself: "Visa •••• 4242". */
export const methodLabel = (mails: Language, method: PaymentMethod): string =>
  mails.common.methodLabel(partsOf(method));
