import { describe, expect, it } from "vitest";
import { MAX_BODY_BYTES, readBody } from "../../../supabase/functions/_duebase/body.ts";
import { IncompleteBodyError, PayloadTooLargeError } from "../../../supabase/functions/_duebase/errors.ts";

const LIMIT = 1000;

/** A request whose body arrives in the given pieces and counts how many were asked for. */
function streamed(pieces: Iterable<Uint8Array | Error>, headers: Record<string, string> = {}) {
  const iterator = pieces[Symbol.iterator]();
  const seen = { pulled: 0, cancelled: false };
  const body = new ReadableStream<Uint8Array>(
    {
      pull(controller) {
        const { done, value } = iterator.next();
        if (done) return controller.close();
        if (value instanceof Error) return controller.error(value);
        seen.pulled++;
        controller.enqueue(value);
      },
      cancel() {
        seen.cancelled = true;
      },
    },
    { highWaterMark: 0 },
  );
  const init: RequestInit & { duplex: "half" } = { method: "POST", headers, body, duplex: "half" };
  return { request: new Request("http://127.0.0.1/", init), seen };
}

function* endless(bytes: number) {
  for (;;) yield new Uint8Array(bytes);
}

describe("reading a body", () => {
  it("returns the raw bytes, from one piece or from many", async () => {
    const one = streamed([Uint8Array.of(0, 255, 10)]);
    const many = streamed([Uint8Array.of(0), Uint8Array.of(), Uint8Array.of(255, 10)]);
    expect([...(await readBody(one.request, LIMIT))]).toEqual([0, 255, 10]);
    expect([...(await readBody(many.request, LIMIT))]).toEqual([0, 255, 10]);
  });

  it("takes no body for an empty one", async () => {
    expect(await readBody(new Request("http://127.0.0.1/", { method: "POST" }))).toHaveLength(0);
  });

  it("takes a body of exactly the limit, and the limit is 1 MiB", async () => {
    const { request } = streamed([new Uint8Array(MAX_BODY_BYTES)]);
    expect(await readBody(request)).toHaveLength(1_048_576);
  });

  it("refuses one byte more, with and without a content-length", async () => {
    const body = () => [new Uint8Array(LIMIT), new Uint8Array(1)];
    const declared = { "content-length": String(LIMIT + 1) };
    await expect(readBody(streamed(body()).request, LIMIT)).rejects.toThrow(PayloadTooLargeError);
    await expect(readBody(streamed(body(), declared).request, LIMIT)).rejects.toThrow(PayloadTooLargeError);
  });

  it("refuses a declared length over the limit without reading anything", async () => {
    const { request, seen } = streamed(endless(10), { "content-length": String(LIMIT + 1) });
    await expect(readBody(request, LIMIT)).rejects.toThrow(PayloadTooLargeError);
    expect(seen).toEqual({ pulled: 0, cancelled: true });
  });

  it("stops reading at the first byte too many of a body without end", async () => {
    const { request, seen } = streamed(endless(300));
    await expect(readBody(request, LIMIT)).rejects.toThrow(PayloadTooLargeError);
    expect(seen).toEqual({ pulled: 4, cancelled: true });
  });

  it.each(["10", "0", "-5", "many", "1e2"])(
    "counts the bytes when content-length says %s",
    async (length) => {
      const { request } = streamed(endless(300), { "content-length": length });
      await expect(readBody(request, LIMIT)).rejects.toThrow(PayloadTooLargeError);
    },
  );

  it("says so when the sender goes away halfway", async () => {
    const { request } = streamed([Uint8Array.of(1), new Error("connection reset")]);
    await expect(readBody(request, LIMIT)).rejects.toThrow(IncompleteBodyError);
  });
});
