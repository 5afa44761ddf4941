import { setTimeout as delay } from "node:timers/promises";
import { type Finding, mayBeWrong, wrong } from "./check.ts";

/** A list of Resend's. */
export interface ResendList<Item> {
  data: Item[];
}

export interface ResendDomain {
  name: string;
  /** verified, pending, not_started, failure, temporary_failure, … */
  status: string;
}

export interface ResendWebhook {
  endpoint: string;
  /** enabled or disabled. */
  status: string;
  events: string[] | null;
}

/** Reads at Resend with the operator's own key. */
export interface ReadResend {
  get<Item>(path: "/domains" | "/webhooks"): Promise<Item[]>;
}

/** Resend said no, or nothing. */
export class ResendCallError extends Error {
  override readonly name = "ResendCallError";
  readonly code: string;
  readonly status: number | undefined;

  constructor(code: string, message: string, status?: number) {
    super(message);
    this.code = code;
    this.status = status;
  }
}

const RESEND_URL = "https://api.resend.com";
/** Resend gives at most so many in a page; more domains or webhooks than this are not looked at. */
const PAGE = 100;

/** @param baseUrl Resend's own unless a local server stands in for it */
export function readResend(apiKey: string, baseUrl = RESEND_URL, send: typeof fetch = fetch): ReadResend {
  const ask = (path: string) =>
    send(`${baseUrl}${path}?limit=${PAGE}`, {
      headers: { authorization: `Bearer ${apiKey}`, "user-agent": "duebase" },
      redirect: "manual",
      signal: AbortSignal.timeout(6_000),
    }).catch(() => {
      throw new ResendCallError("no_answer", "Resend did not answer.");
    });
  return {
    async get<Item>(path: string): Promise<Item[]> {
      let response = await ask(path);
      // A few requests a second are allowed, and the functions send mail meanwhile.
      if (response.status === 429) {
        await delay(1_200);
        response = await ask(path);
      }
      const body = (await response.json().catch(() => ({}))) as Partial<ResendList<Item>> & {
        name?: string;
        message?: string;
      };
      if (response.ok) return body.data ?? [];
      throw new ResendCallError(
        body.name ?? `http_${response.status}`,
        body.message ?? `Resend answered ${response.status}.`,
        response.status,
      );
    },
  };
}

export const withoutResendKey = (what: string): Finding =>
  mayBeWrong(
    `${what} was not looked at: this command has no Resend key`,
    "give DUEBASE_RESEND_API_KEY (with full access: a sending key may not look)",
  );

/** What a refusal of Resend's means. */
export function refusalOfResend(error: unknown, what: string): Finding {
  if (!(error instanceof ResendCallError)) throw error;
  if (error.code === "restricted_api_key") {
    return mayBeWrong(
      `${what} was not looked at: the key may only send mail`,
      "give DUEBASE_RESEND_API_KEY a key with full access for this command; the functions can keep theirs",
    );
  }
  if (error.status === 401 || error.status === 403) {
    return wrong(
      "Resend does not take the key of this command",
      "take a key from https://resend.com/api-keys",
    );
  }
  return mayBeWrong(
    `${what} was not looked at: Resend answered ${error.status ?? "nothing"} (${error.code})`,
    "try again",
  );
}
