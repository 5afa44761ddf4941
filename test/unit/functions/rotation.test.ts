import { createHmac } from "node:crypto";
import { describe, expect, it } from "vitest";
import { cronCall } from "../../../scripts/local/cron-call.ts";
import { createCallerCheck } from "../../../supabase/functions/_duebase/cron-signature.ts";
import {
  readDeliverEnvironment,
  readDunningEnvironment,
  readResendWebhookEnvironment,
  readWebhookEnvironment,
} from "../../../supabase/functions/_duebase/env.ts";
import { createSignatureVerifier } from "../../../supabase/functions/_duebase/stripe-signature.ts";
import { createSvixVerifier } from "../../../supabase/functions/_duebase/svix-signature.ts";

// Each secret that can hold several, rotated as docs/moving-in.md says, step by step. At every step what is sent is accepted
// by functions that have been started since, and by those that still run with what was set at the step before.

const project = {
  SUPABASE_URL: "http://127.0.0.1:54321",
  SUPABASE_SECRET_KEY: "sb_secret_example",
  DUEBASE_STRIPE_SECRET_KEY: "sk_test_example",
  DUEBASE_RESEND_API_KEY: "re_example",
};
const [OLD, NEW] = ["whsec_b2xkX29sZF9vbGRfb2xk", "whsec_bmV3X25ld19uZXdfbmV3"] as const;
const now = Date.parse("2026-11-30T09:00:00Z");
const body = new TextEncoder().encode('{"id":"evt_1"}');
const lookUp = (variables: Record<string, string>) => (name: string) => variables[name];

/** Whether a function that was started with `value` takes what is sent with `secrets`. */
type Takes = (value: string, secrets: readonly string[]) => Promise<boolean>;

const isTaken = (work: Promise<unknown>): Promise<boolean> =>
  work.then(
    () => true,
    () => false,
  );

const byStripe: Takes = (value, secrets) => {
  const { webhookSecrets } = readWebhookEnvironment(
    lookUp({ ...project, DUEBASE_STRIPE_WEBHOOK_SECRET: value }),
  );
  const seconds = Math.floor(now / 1000);
  const signatures = secrets.map(
    (secret) => `v1=${createHmac("sha256", secret).update(`${seconds}.`).update(body).digest("hex")}`,
  );
  return isTaken(
    createSignatureVerifier(webhookSecrets)([`t=${seconds}`, ...signatures].join(","), body, now),
  );
};

const byResend: Takes = (value, secrets) => {
  const { webhookSecrets } = readResendWebhookEnvironment(
    lookUp({ ...project, DUEBASE_RESEND_WEBHOOK_SECRET: value }),
  );
  const seconds = Math.floor(now / 1000);
  const signatures = secrets.map((secret) => {
    const key = Buffer.from(secret.replace("whsec_", ""), "base64");
    return `v1,${createHmac("sha256", key).update(`msg_1.${seconds}.`).update(body).digest("base64")}`;
  });
  const headers = new Headers({
    "svix-id": "msg_1",
    "svix-timestamp": String(seconds),
    "svix-signature": signatures.join(" "),
  });
  return isTaken(createSvixVerifier(webhookSecrets)(headers, body, now));
};

const byCron: Takes = async (value, [secret]) => {
  const read = lookUp({ ...project, DUEBASE_CRON_SECRET: value });
  const { headers, body: sent } = cronCall("duebase-deliver", {}, secret, now);
  const answers = [readDeliverEnvironment(read), readDunningEnvironment(read)].map(({ cronSecrets }) =>
    isTaken(
      createCallerCheck(cronSecrets, "duebase-deliver")(
        new Headers(headers),
        new TextEncoder().encode(sent),
        now,
      ),
    ),
  );
  return (await Promise.all(answers)).every(Boolean);
};

/** What the functions have, and the secrets that each delivery at that step is signed with. */
interface Step {
  has: string;
  sent: string[][];
}

const rotations: [name: string, takes: Takes, steps: Step[]][] = [
  [
    "Stripe's webhook",
    byStripe,
    [
      { has: OLD, sent: [[OLD]] },
      // Rolled at Stripe, which signs with both for a day.
      { has: OLD, sent: [[NEW, OLD]] },
      { has: `${NEW},${OLD}`, sent: [[NEW, OLD]] },
      { has: `${NEW}, ${OLD}`, sent: [[NEW]] },
      { has: NEW, sent: [[NEW]] },
    ],
  ],
  [
    "Resend's webhook",
    byResend,
    [
      { has: OLD, sent: [[OLD]] },
      // Two webhooks from here on; what the new one sends may be refused and sent again, and nothing is missed.
      { has: `${NEW},${OLD}`, sent: [[OLD]] },
      { has: `${NEW},${OLD}`, sent: [[OLD], [NEW]] },
      { has: `${NEW},${OLD}`, sent: [[NEW]] },
      { has: NEW, sent: [[NEW]] },
    ],
  ],
  [
    "cron",
    byCron,
    [
      { has: OLD, sent: [[OLD]] },
      { has: `${OLD},${NEW}`, sent: [[OLD]] },
      // The wait is over: Vault is changed.
      { has: `${OLD},${NEW}`, sent: [[OLD], [NEW]] },
      { has: NEW, sent: [[NEW]] },
    ],
  ],
];

describe.each(rotations)("the secret of %s is rotated without a gap", (_name, takes, steps) => {
  it("as everything that is sent is taken at every step", async () => {
    for (const [index, { has, sent }] of steps.entries()) {
      for (const running of new Set([has, steps[index - 1]?.has ?? has])) {
        for (const secrets of sent) {
          expect([index, running, secrets, await takes(running, secrets)]).toEqual([
            index,
            running,
            secrets,
            true,
          ]);
        }
      }
    }
  });

  it("and in the end the old one is worth nothing", async () => {
    const last = steps.at(-1)?.has ?? "";
    expect(await takes(last, [NEW])).toBe(true);
    expect(await takes(last, [OLD])).toBe(false);
    // A list of them is a secret of nobody's.
    expect(await takes(`${NEW},${OLD}`, [`${NEW},${OLD}`])).toBe(false);
  });
});

it("a list that holds nothing is as good as none, and nobody is let in by a blank", () => {
  for (const value of ["", " ", ",", " , "]) {
    expect(() => readDunningEnvironment(lookUp({ ...project, DUEBASE_CRON_SECRET: value }))).toThrow(
      "Missing DUEBASE_CRON_SECRET.",
    );
  }
  for (const secrets of [[], ["secret", " "]])
    expect(() => createCallerCheck(secrets, "duebase-deliver")).toThrow(/blank/);
});
