import { type Check, type Finding, mayBeWrong, right, wrong } from "../check.ts";
import type { DoctorContext } from "../context.ts";
import { roundTripReport } from "../round-trip.ts";
import { KEYS_PAGE, refusalOfStripe, withoutStripeKey } from "../stripe.ts";

const modeWord = (livemode: boolean) => (livemode ? "live" : "test");

/** Whether the functions' key and this command's are of the mode and account that the project mirrors. */
export const stripeKey: Check = {
  name: "stripe_key",
  title: "Stripe key",
  timeout: 20_000,
  async look(context) {
    const { livemode, stripe_account } = await context.settings();
    return [await ofFunctions(context, livemode), ...(await ofCommand(context, livemode, stripe_account))];
  },
};

async function ofFunctions(context: DoctorContext, livemode: boolean): Promise<Finding> {
  const { report, instead } = await roundTripReport(context, "which Stripe key the functions have");
  if (!report?.stripe) return instead ?? mayBeWrong("duebase-deliver says nothing of its Stripe key");
  const { is, says, mode } = report.stripe;
  const replace = `supabase secrets set DUEBASE_STRIPE_SECRET_KEY=\u2026 with a ${modeWord(livemode)} key of this account (${KEYS_PAGE})`;
  switch (is) {
    case "ok":
      return right(`the functions have a ${mode} key of the account whose events came here`);
    case "unproven":
      return right(`the functions have a ${mode} key that Stripe takes`);
    case "wrong_mode":
      return wrong(
        `the functions have a ${mode} key, and the project mirrors ${modeWord(livemode)} mode`,
        `${replace}; or set livemode in billing.settings`,
      );
    case "wrong_account":
      return wrong("the functions have a Stripe key of another account", replace);
    case "no_answer":
      return mayBeWrong("Stripe did not answer the functions in time", "try again");
    default:
      return wrong(`Stripe does not take the functions\u2019 key: ${says ?? is}`, replace);
  }
}

async function ofCommand(
  { stripe }: DoctorContext,
  livemode: boolean,
  account: string | null,
): Promise<Finding[]> {
  if (stripe === undefined) return [withoutStripeKey("the account")];
  if (stripe.mode !== undefined && stripe.mode !== modeWord(livemode)) {
    return [
      wrong(
        `billing.settings.livemode is ${livemode}, and this command\u2019s key is a ${stripe.mode} key`,
        `update billing.settings set livemode = ${!livemode} where id; or give DUEBASE_STRIPE_SECRET_KEY a ${modeWord(livemode)} key`,
      ),
    ];
  }
  try {
    const { object } = await stripe.get("/v1/account", {}, account);
    const name = (object.settings as { dashboard?: { display_name?: string } } | undefined)?.dashboard
      ?.display_name;
    return [right(`account ${object.id}${name ? ` (${name})` : ""}, ${modeWord(livemode)} mode`)];
  } catch (error) {
    return [refusalOfStripe(error, "the account", "Basic account")];
  }
}
