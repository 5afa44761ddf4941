import { type Check, type Finding, mayBeWrong, orRight, right, wrong } from "../check.ts";
import type { DoctorContext } from "../context.ts";
import { type ResendDomain, type ResendWebhook, refusalOfResend, withoutResendKey } from "../resend.ts";
import { roundTripReport } from "../round-trip.ts";
import { signSvixProbe } from "../svix-probe.ts";

/** The functions' key, and the domain that mail is sent from. */
export const resendSender: Check = {
  name: "resend_sender",
  title: "Resend and sender",
  timeout: 20_000,
  async look(context) {
    return [await keyOfFunctions(context), await domainOfSender(context)];
  },
};

async function keyOfFunctions(context: DoctorContext): Promise<Finding> {
  const { report, instead } = await roundTripReport(context, "whether Resend takes the functions\u2019 key");
  if (!report?.resend) return instead ?? mayBeWrong("duebase-deliver says nothing of its Resend key");
  const { is, says } = report.resend;
  if (is === "ok") return right(`Resend takes the functions\u2019 key`);
  if (is === "no_answer") return mayBeWrong("Resend did not answer the functions in time", "try again");
  return wrong(
    `Resend does not take the functions\u2019 key: ${says ?? is}`,
    "supabase secrets set DUEBASE_RESEND_API_KEY=re_\u2026 (https://resend.com/api-keys)",
  );
}

async function domainOfSender(context: DoctorContext): Promise<Finding> {
  const { email_from } = await context.settings();
  const trip = await context.roundTrip();
  const sender = email_from ?? (trip.is === "answered" ? trip.report.email_from : null) ?? "";
  const domain = /@([^\s>@]+)>?\s*$/.exec(sender)?.[1]?.toLowerCase();
  if (domain === undefined) {
    return wrong(
      sender === "" ? "no sender of mail is set" : `the sender ${sender} is no address`,
      "update billing.settings set email_from = 'Name <billing@your.domain>' where id",
    );
  }
  if (context.resend === undefined) return withoutResendKey(`whether ${domain} is verified`);
  let domains: ResendDomain[];
  try {
    domains = await context.resend.get<ResendDomain>("/domains");
  } catch (error) {
    return refusalOfResend(error, `whether ${domain} is verified`);
  }
  const found = domains.find(({ name }) => name.toLowerCase() === domain);
  if (found?.status === "verified") return right(`${domain} is verified with Resend`);
  return wrong(
    found ? `${domain} is not verified with Resend (${found.status})` : `Resend has no domain ${domain}`,
    found
      ? "put the DNS records that https://resend.com/domains shows, and verify there"
      : "add it at https://resend.com/domains; or name a sender of a verified domain in billing.settings.email_from",
  );
}

/** What duebase-resend-webhook acts on. */
const NEEDED = [
  "email.sent",
  "email.delivered",
  "email.delivery_delayed",
  "email.bounced",
  "email.complained",
  "email.failed",
  "email.suppressed",
];

/** Resend's webhook, by which bounces and complaints come. */
export const resendWebhook: Check = {
  name: "resend_webhook",
  title: "Resend's webhook",
  async look(context) {
    const { url } = await context.functions();
    if (url === null)
      return [
        wrong("this project\u2019s webhook address is not known", "first mend what \u201cVault\u201d says"),
      ];
    const address = `${url}/duebase-resend-webhook`;
    return [...(await atResend(context, address)), ...(await bySignature(context, address))];
  },
};

async function atResend({ resend }: DoctorContext, address: string): Promise<Finding[]> {
  if (resend === undefined) return [withoutResendKey("Resend\u2019s webhook")];
  let webhooks: ResendWebhook[];
  try {
    webhooks = await resend.get<ResendWebhook>("/webhooks");
  } catch (error) {
    return [refusalOfResend(error, "Resend\u2019s webhook")];
  }
  const ours = webhooks.find(({ endpoint }) => endpoint.replace(/\/+$/, "") === address);
  if (!ours)
    return [
      wrong(`Resend has no webhook for ${address}`, "npx duebase connect, or https://resend.com/webhooks"),
    ];
  const findings: Finding[] = [];
  if (ours.status !== "enabled") {
    findings.push(
      wrong(`Resend\u2019s webhook is ${ours.status}`, "enable it at https://resend.com/webhooks"),
    );
  }
  // Without a list it sends everything.
  const missing = NEEDED.filter((type) => ours.events !== null && !ours.events.includes(type));
  if (missing.length > 0) {
    findings.push(
      wrong(
        `Resend\u2019s webhook does not send ${missing.join(", ")}`,
        "add them at https://resend.com/webhooks",
      ),
    );
  }
  return orRight(findings, "Resend reports what becomes of mails");
}

/** With the secret of this machine, where it has one. An event about no mail is taken and forgotten. */
async function bySignature(
  { signal, resendWebhookSecret }: DoctorContext,
  address: string,
): Promise<Finding[]> {
  const secret = resendWebhookSecret?.split(",")[0]?.trim();
  if (!secret) return [];
  const probe = signSvixProbe(secret, Date.now());
  const response = await fetch(address, {
    method: "POST",
    ...probe,
    redirect: "manual",
    signal: AbortSignal.any([signal, AbortSignal.timeout(8_000)]),
  }).catch(() => undefined);
  if (response?.ok)
    return [right("duebase-resend-webhook takes what is signed with this command\u2019s secret")];
  if (response?.status === 400) {
    return [
      wrong(
        "duebase-resend-webhook does not take what is signed with this command\u2019s secret",
        "supabase secrets set DUEBASE_RESEND_WEBHOOK_SECRET=whsec_\u2026, as https://resend.com/webhooks shows it",
      ),
    ];
  }
  return [
    wrong(`duebase-resend-webhook answered ${response?.status ?? "nothing"}`, "see \u201cfunctions\u201d"),
  ];
}
