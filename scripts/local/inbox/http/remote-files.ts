import { invalidField } from "./errors.ts";
import type { EmailPayload } from "./payload.ts";

/** Reads a file at a URL. Rejects where there is none. */
export type FetchFile = (url: string) => Promise<Uint8Array>;

const loopback = new Set(["127.0.0.1", "localhost", "[::1]"]);
const patienceMilliseconds = 5_000;

/** A file of this machine's own servers, such as the local Stripe's PDF of an invoice. Nothing else is asked. */
export const fetchLocalFile: FetchFile = async (url) => {
  const { protocol, hostname } = new URL(url);
  if (protocol !== "http:" || !loopback.has(hostname))
    throw new Error("the local inbox stays on this machine");
  const response = await fetch(url, { signal: AbortSignal.timeout(patienceMilliseconds) });
  if (!response.ok) throw new Error(`answered ${response.status}`);
  return new Uint8Array(await response.arrayBuffer());
};

/**
 * The same email with what its attachments' paths lead to, as a recipient would get it. Resend does not document
 * what it answers where it cannot fetch one; here that is a 422.
 *
 * @throws {ResendError} 422 invalid_attachment
 */
export async function withFiles(payload: EmailPayload, fetchFile: FetchFile): Promise<EmailPayload> {
  const attachments = await Promise.all(
    payload.attachments.map(async (attachment) => {
      if (attachment.path === null) return attachment;
      try {
        const file = await fetchFile(attachment.path);
        return { ...attachment, content: Buffer.from(file).toString("base64") };
      } catch (error) {
        const reason = error instanceof Error ? error.message : String(error);
        throw invalidField(
          `The attachment at \`${attachment.path}\` cannot be fetched: ${reason}.`,
          "invalid_attachment",
        );
      }
    }),
  );
  return { ...payload, attachments };
}
