/** A probe event, signed as Stripe signs. */
export type SignedProbe = { body: string; headers: Record<string, string> };

const encoder = new TextEncoder();

/**
 * An event of a type that Stripe never sends, signed as Stripe would: it takes the whole way of an event, and
 * `billing.receive_event` undoes it. It is of the mode and account that the project mirrors, so that the answer is
 * `probed` where an event of Stripe's would be processed.
 *
 * @param secret of the webhook endpoint, whsec_…
 * @param nowMs milliseconds since the epoch; Stripe's signatures are good for 300 s
 */
export async function signProbe(
  secret: string,
  project: { livemode: boolean; account: string | null },
  nowMs: number,
): Promise<SignedProbe> {
  const seconds = Math.floor(nowMs / 1000);
  const id = crypto.randomUUID();
  const body = JSON.stringify({
    id: `evt_duebase_probe_${id}`,
    object: "event",
    type: "duebase.probe",
    livemode: project.livemode,
    ...(project.account === null ? {} : { account: project.account }),
    created: seconds,
    data: { object: { id: `duebase_probe_${id}`, object: "duebase.probe" } },
  });
  const key = await crypto.subtle.importKey(
    "raw",
    encoder.encode(secret),
    { name: "HMAC", hash: "SHA-256" },
    false,
    ["sign"],
  );
  const signature = await crypto.subtle.sign("HMAC", key, encoder.encode(`${seconds}.${body}`));
  const hex = [...new Uint8Array(signature)].map((byte) => byte.toString(16).padStart(2, "0")).join("");
  return {
    body,
    headers: { "content-type": "application/json", "stripe-signature": `t=${seconds},v1=${hex}` },
  };
}
