import { IncompleteBodyError, PayloadTooLargeError } from "./errors.ts";

/** Stripe's largest events are some 100 KB; ten times that is plenty and still small beside 256 MB. */
export const MAX_BODY_BYTES = 1024 * 1024;

/**
 * The raw bytes of a request's body, at most `limitBytes` of them. A declared length is only used to
 * refuse early: the bytes that really arrive are counted, and reading stops with the first too many.
 *
 * @throws PayloadTooLargeError over the limit, IncompleteBodyError when the stream breaks.
 */
export async function readBody(
  request: Request,
  limitBytes = MAX_BODY_BYTES,
): Promise<Uint8Array<ArrayBuffer>> {
  const { body } = request;
  if (body === null) return new Uint8Array(0);
  if (Number(request.headers.get("content-length")) > limitBytes) {
    await body.cancel().catch(() => {});
    throw new PayloadTooLargeError(limitBytes);
  }

  const reader: ReadableStreamDefaultReader<Uint8Array<ArrayBuffer>> = body.getReader();
  const chunks: Uint8Array<ArrayBuffer>[] = [];
  let length = 0;
  for (;;) {
    const { done, value } = await reader.read().catch((cause: unknown) => {
      throw new IncompleteBodyError(cause);
    });
    if (done) break;
    length += value.byteLength;
    if (length > limitBytes) {
      await reader.cancel().catch(() => {});
      throw new PayloadTooLargeError(limitBytes);
    }
    chunks.push(value);
  }
  return chunks.length === 1 && chunks[0] ? chunks[0] : concatenate(chunks, length);
}

function concatenate(chunks: readonly Uint8Array[], length: number): Uint8Array<ArrayBuffer> {
  const whole = new Uint8Array(length);
  let offset = 0;
  for (const chunk of chunks) {
    whole.set(chunk, offset);
    offset += chunk.byteLength;
  }
  return whole;
}
