import { createHmac, randomUUID } from "node:crypto";

/**
 * An event of a type that is about no mail, signed as Resend (Svix) signs.
 *
 * @param secret whsec_<Base64>
 * @param nowMs milliseconds since the epoch
 */
export function signSvixProbe(
  secret: string,
  nowMs: number,
): { body: string; headers: Record<string, string> } {
  const id = `msg_duebase_probe_${randomUUID()}`;
  const timestamp = String(Math.floor(nowMs / 1000));
  const body = JSON.stringify({ type: "duebase.probe", created_at: new Date(nowMs).toISOString(), data: {} });
  const key = Buffer.from(secret.replace(/^whsec_/, ""), "base64");
  const signature = createHmac("sha256", key).update(`${id}.${timestamp}.${body}`).digest("base64");
  return {
    body,
    headers: {
      "content-type": "application/json",
      "svix-id": id,
      "svix-timestamp": timestamp,
      "svix-signature": `v1,${signature}`,
    },
  };
}
