import { CRON_SIGNATURE_HEADER } from "../../supabase/functions/_duebase/cron-signature.ts";
import { localKeys } from "./keys.ts";
import { signatureOf } from "./service/signature.ts";

/**
 * A call of a function as cron makes it, signed as `billing_private.sign_call` does: to be given to `fetch`.
 *
 * @param functionName such as `duebase-dunning`
 * @param options what the run is asked for; the local stack takes a clock
 * @param secret by default the local stack's
 * @param now milliseconds since the epoch
 */
export function cronCall(
  functionName: string,
  options: object = {},
  secret: string = localKeys.cronSecret,
  now: number = Date.now(),
): { method: "POST"; headers: Record<string, string>; body: string } {
  const body = JSON.stringify(options);
  const seconds = Math.floor(now / 1000);
  const signature = signatureOf(secret, [seconds, functionName, body], "hex");
  return {
    method: "POST",
    headers: { "content-type": "application/json", [CRON_SIGNATURE_HEADER]: `t=${seconds},v1=${signature}` },
    body,
  };
}
