import { expect, test } from "vitest";
import { money } from "../../scripts/demo/format.ts";
import { amountIn, roughly } from "../../scripts/dunning/format.ts";
import { money as stripeMoney } from "../../scripts/local/stripe/core/money.ts";

/** Locales set no-break spaces; to a reader they are spaces. */
const plain = (text: string) => text.replaceAll("\u00a0", " ");

// The number of decimals that Node's tables give these currencies is not Stripe's, and changes with its version.
test.each([
  [199_050, "huf", "HUF 1,990.50"],
  [199_050, "idr", "IDR 1,990.50"],
  [199_050, "cop", "COP 1,990.50"],
  [199_050, "isk", "ISK 1,990.50"],
  [199_050, "ugx", "UGX 1,990.50"],
  [199_050, "usd", "$1,990.50"],
  [199_050, "jpy", "¥199,050"],
  [199_050, "kwd", "KWD 199.050"],
])("%s in the smallest unit of %s is %s to every tool", (amount, currency, written) => {
  for (const format of [money, amountIn, stripeMoney]) expect(plain(format(amount, currency))).toBe(written);
});

test.each([
  [120_000_000, "huf", "HUF 1.2M"],
  [120_000_000, "isk", "ISK 1.2M"],
  [120_000_000, "usd", "$1.2M"],
  [120_000_000, "jpy", "¥120M"],
])("%s in the smallest unit of %s is about %s", (amount, currency, written) => {
  expect(plain(roughly(amount, currency))).toBe(written);
});
