/** What a bank's refusal looks like in Stripe's errors (https://docs.stripe.com/declines/codes). */
export interface Decline {
  code: string;
  decline_code?: string;
  message: string;
  /** The network's own answer; absent where the bank was never asked. */
  network?: string;
}

function cardDeclined(declineCode: string, network: string, message = "Your card was declined."): Decline {
  return { code: "card_declined", decline_code: declineCode, message, network };
}

const table = {
  generic_decline: cardDeclined("generic_decline", "01"),
  insufficient_funds: cardDeclined("insufficient_funds", "51", "Your card has insufficient funds."),
  lost_card: cardDeclined("lost_card", "41"),
  stolen_card: cardDeclined("stolen_card", "43"),
  do_not_honor: cardDeclined("do_not_honor", "05"),
  fraudulent: cardDeclined("fraudulent", "59"),
  card_velocity_exceeded: cardDeclined(
    "card_velocity_exceeded",
    "65",
    "Your card was declined for making repeated attempts too frequently or exceeding its amount limit.",
  ),
  authentication_required: {
    code: "authentication_required",
    decline_code: "authentication_required",
    message: "Your card was declined. This transaction requires authentication.",
    network: "65",
  },
  expired_card: { code: "expired_card", message: "Your card has expired.", network: "54" },
  incorrect_cvc: { code: "incorrect_cvc", message: "Your card's security code is incorrect.", network: "N7" },
  processing_error: {
    code: "processing_error",
    message: "An error occurred while processing your card. Try again in a little bit.",
    network: "96",
  },
  debit_failed: {
    code: "payment_intent_payment_attempt_failed",
    decline_code: "generic_decline",
    message: "The payment failed.",
  },
} satisfies Record<string, Decline>;

export type DeclineName = keyof typeof table;

export const declines: Record<DeclineName, Decline> = table;

export function isDeclineName(name: string): name is DeclineName {
  return Object.hasOwn(declines, name);
}
