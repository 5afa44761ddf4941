import { type Agent, request } from "node:http";

/**
 * Posts a signed event. Resolves with the milliseconds from when it was due until its 2xx answer was read; rejects for
 * any other answer, and for none within 10 s.
 */
export function deliver(
  agent: Agent,
  url: string,
  payload: string,
  signature: string,
  due: number,
): Promise<number> {
  return new Promise((resolve, reject) => {
    const headers = { "content-type": "application/json", "stripe-signature": signature };
    const sent = request(url, { agent, method: "POST", headers, timeout: 10_000 }, (response) => {
      response.resume();
      response.on("end", () => {
        if (response.statusCode === 200) resolve(performance.now() - due);
        else reject(new Error(`duebase-stripe-webhook answered ${response.statusCode}`));
      });
    });
    sent.on("timeout", () => sent.destroy(new Error("duebase-stripe-webhook did not answer within 10 s")));
    sent.on("error", reject);
    sent.end(payload);
  });
}
