import { sendOnce } from "./send-once.ts";

/** Posts a line to a Slack-compatible webhook; rejects unless it was taken. */
export type PostAlert = ((text: string) => Promise<void>) | undefined;

const TIMEOUT_MS = 10_000;

/** The operator's webhook said no. */
export class AlertNotTakenError extends Error {
  override readonly name = "AlertNotTakenError";
  readonly status: number;

  constructor(status: number) {
    super(`the alert webhook answered ${status}`);
    this.status = status;
  }
}

/**
 * Text as a chat shows it and nothing else. Facts of an alert may hold what a customer wrote, a name or an error that
 * quotes one: Slack's `<!channel>`, `<@U…>` and `<url|text>` are told by their brackets
 * (https://docs.slack.dev/messaging/formatting-message-text), others' `@everyone` by its sign and `[text](url)` by its
 * brackets.
 */
function chatText(text: string): string {
  return text
    .replaceAll("&", "&amp;")
    .replaceAll("<", "&lt;")
    .replaceAll(">", "&gt;")
    .replace(/@(?=\w)/g, "@\u200b")
    .replaceAll("](", "]\u200b(");
}

/**
 * A poster of alerts to an incoming webhook that understands `{"text": …}`, as Slack's and many others do. Such a
 * webhook knows no keys: a request is sent once.
 */
export function connectAlerts(url: string, send: typeof fetch = sendOnce): (text: string) => Promise<void> {
  return async (text) => {
    const response = await send(url, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify({ text: chatText(text) }),
      redirect: "manual",
      signal: AbortSignal.timeout(TIMEOUT_MS),
    });
    await response.body?.cancel();
    if (!response.ok) throw new AlertNotTakenError(response.status);
  };
}
