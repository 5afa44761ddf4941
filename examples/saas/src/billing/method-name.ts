import type { Language } from "../../../../emails/languages/index.ts";
import { describeMethod } from "../../../../emails/rendering/payment-method.ts";
import type { PaymentMethod } from "./read-access.ts";

/** Within a sentence, as mails name it: "Visa ending in 4242". */
export const methodInText = (mails: Language, method: PaymentMethod): string =>
  mails.common.method(describeMethod(method));

/** Standing by itself: "Visa •••• 4242". */
export const methodLabel = (mails: Language, method: PaymentMethod): string =>
  mails.common.methodLabel(describeMethod(method));
