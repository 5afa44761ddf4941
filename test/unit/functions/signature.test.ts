import { createHmac } from "node:crypto";
import fc from "fast-check";
import { afterEach, describe, expect, it, vi } from "vitest";
import { ConfigurationError, SignatureError } from "../../../supabase/functions/_duebase/errors.ts";
import {
  parseSignatureHeader,
  SIGNATURE_TOLERANCE_SECONDS,
} from "../../../supabase/functions/_duebase/signature.ts";
import { createSignatureVerifier } from "../../../supabase/functions/_duebase/stripe-signature.ts";
import { NOW_MS, NOW_SECONDS, SECRET, sdkAccepts, signatureOf } from "./signed-requests.ts";
import "../../support/seeded-properties.ts";

const PAYLOAD = '{"id":"evt_example","object":"event","note":"žluťoučký 馬 😀"}';
const HEX = "0".repeat(64);

const bytes = (text: string) => new TextEncoder().encode(text);

async function verdict(payload: string, header: string | null, secrets = [SECRET]): Promise<string> {
  try {
    await createSignatureVerifier(secrets)(header, bytes(payload), NOW_MS);
    return "genuine";
  } catch (error) {
    if (error instanceof SignatureError) return error.code;
    throw error;
  }
}

afterEach(() => vi.restoreAllMocks());

describe("a genuine signature", () => {
  it("made by Stripe's SDK is accepted", async () => {
    expect(await verdict(PAYLOAD, signatureOf(PAYLOAD))).toBe("genuine");
  });

  it("is accepted for any body, as the SDK accepts it", async () => {
    await fc.assert(
      fc.asyncProperty(fc.string({ unit: "binary", minLength: 1 }), async (payload) => {
        const header = signatureOf(payload);
        expect(await verdict(payload, header)).toBe("genuine");
        expect(await sdkAccepts(payload, header)).toBe(true);
      }),
    );
  });

  it("is accepted from either secret while one is rotated out", async () => {
    const secrets = ["whsec_example_old", "whsec_example_new"];
    for (const secret of secrets) {
      expect(await verdict(PAYLOAD, signatureOf(PAYLOAD, { secret }), secrets)).toBe("genuine");
    }
  });

  it("is found among several in one header, beside signatures of other schemes", async () => {
    const [, genuine] = signatureOf(PAYLOAD).split("v1=");
    const header = `v0=${HEX},v1=${HEX},v1=${genuine},t=${NOW_SECONDS}`;
    expect(await verdict(PAYLOAD, header)).toBe("genuine");
    expect(await sdkAccepts(PAYLOAD, header)).toBe(true);
  });

  it("covers the raw bytes, valid UTF-8 or not", async () => {
    const body = Uint8Array.of(0x7b, 0xff, 0xfe, 0x00, 0x7d);
    const digest = createHmac("sha256", SECRET).update(`${NOW_SECONDS}.`).update(body).digest("hex");
    const verify = createSignatureVerifier([SECRET]);
    await verify(`t=${NOW_SECONDS},v1=${digest}`, body, NOW_MS);
  });

  it("counts up to exactly 300 seconds into the past and into the future", async () => {
    for (const offset of [-SIGNATURE_TOLERANCE_SECONDS, 0, SIGNATURE_TOLERANCE_SECONDS]) {
      const header = signatureOf(PAYLOAD, { timestamp: NOW_SECONDS + offset });
      expect(await verdict(PAYLOAD, header)).toBe("genuine");
    }
    expect(SIGNATURE_TOLERANCE_SECONDS).toBe(300);
  });
});

describe("a signature is refused", () => {
  it("when it is older than 300 seconds", async () => {
    const header = signatureOf(PAYLOAD, { timestamp: NOW_SECONDS - 301 });
    expect(await verdict(PAYLOAD, header)).toBe("signature_too_old");
    expect(await sdkAccepts(PAYLOAD, header)).toBe(false);
  });

  it("when it is more than 300 seconds ahead, which the SDK would let through", async () => {
    const header = signatureOf(PAYLOAD, { timestamp: NOW_SECONDS + 301 });
    expect(await verdict(PAYLOAD, header)).toBe("signature_too_new");
  });

  it.each([[null], [""]])("when the header is missing (%j)", async (header) => {
    expect(await verdict(PAYLOAD, header)).toBe("signature_missing");
  });

  const genuine = signatureOf(PAYLOAD).split("v1=")[1] ?? "";
  it.each([
    ["no timestamp", `v1=${genuine}`],
    ["an empty timestamp", `t=,v1=${genuine}`],
    ["a timestamp that is no number", `t=now,v1=${genuine}`],
    ["a negative timestamp", `t=-1,v1=${genuine}`],
    ["a timestamp with a fraction", `t=${NOW_SECONDS}.0,v1=${genuine}`],
    ["a timestamp beyond any calendar", `t=${"9".repeat(40)},v1=${genuine}`],
    ["two timestamps", `t=${NOW_SECONDS},t=${NOW_SECONDS},v1=${genuine}`],
    ["no signature", `t=${NOW_SECONDS}`],
    ["an empty signature", `t=${NOW_SECONDS},v1=`],
    ["only a signature of a scheme we do not know", `t=${NOW_SECONDS},v0=${genuine}`],
    ["a signature cut short", `t=${NOW_SECONDS},v1=${genuine.slice(0, 63)}`],
    ["a signature with more after it", `t=${NOW_SECONDS},v1=${genuine}0`],
    ["a signature in capitals", `t=${NOW_SECONDS},v1=${genuine.toUpperCase()}`],
    ["an item without a value", `t=${NOW_SECONDS},v1=${genuine},v2`],
    ["something else altogether", "Bearer example"],
  ])("when the header has %s", async (_what, header) => {
    expect(await verdict(PAYLOAD, header)).toBe("signature_malformed");
  });

  it("when it was made with another secret, by the SDK too", async () => {
    const header = signatureOf(PAYLOAD, { secret: "whsec_example_somebody_else" });
    expect(await verdict(PAYLOAD, header)).toBe("signature_mismatch");
    expect(await sdkAccepts(PAYLOAD, header)).toBe(false);
  });

  it("when it was made with an empty secret", async () => {
    const digest = createHmac("sha256", "").update(`${NOW_SECONDS}.${PAYLOAD}`).digest("hex");
    expect(await verdict(PAYLOAD, `t=${NOW_SECONDS},v1=${digest}`)).toBe("signature_mismatch");
  });

  it("when one byte of the body is another, by the SDK too", async () => {
    const header = signatureOf(PAYLOAD);
    await fc.assert(
      fc.asyncProperty(fc.nat(PAYLOAD.length - 1), fc.constantFrom("", "x", " ", "\n"), async (at, other) => {
        const forged = PAYLOAD.slice(0, at) + other + PAYLOAD.slice(at + 1);
        fc.pre(forged !== PAYLOAD);
        expect(await verdict(forged, header)).toBe("signature_mismatch");
        expect(await sdkAccepts(forged, header)).toBe(false);
      }),
    );
  });

  it("when one digit of it is another, by the SDK too", async () => {
    const header = signatureOf(PAYLOAD);
    const start = header.indexOf("v1=") + 3;
    await fc.assert(
      fc.asyncProperty(fc.nat(63), fc.constantFrom(..."0123456789abcdef"), async (at, digit) => {
        const forged = header.slice(0, start + at) + digit + header.slice(start + at + 1);
        fc.pre(forged !== header);
        expect(await verdict(PAYLOAD, forged)).toBe("signature_mismatch");
        expect(await sdkAccepts(PAYLOAD, forged)).toBe(false);
      }),
    );
  });

  it("when its timestamp is changed to a fresh one, by the SDK too", async () => {
    const old = signatureOf(PAYLOAD, { timestamp: NOW_SECONDS - 10_000 });
    const forged = old.replace(/t=\d+/, `t=${NOW_SECONDS}`);
    expect(await verdict(PAYLOAD, forged)).toBe("signature_mismatch");
    expect(await sdkAccepts(PAYLOAD, forged)).toBe(false);
  });

  it("and a forged one is not told whether its timestamp was near our clock", async () => {
    for (const timestamp of [0, NOW_SECONDS, NOW_SECONDS + 86_400]) {
      expect(await verdict(PAYLOAD, `t=${timestamp},v1=${HEX}`)).toBe("signature_mismatch");
    }
  });
});

describe("the header parser", () => {
  it("answers any text with its parts or with a SignatureError, never otherwise", () => {
    const piece = fc.constantFrom("t", "v1", "v0", "=", ",", "1790000000", HEX, " ", "é", "-", ".");
    const headers = fc.oneof(
      fc.string(),
      fc.array(piece).map((pieces) => pieces.join("")),
    );
    fc.assert(
      fc.property(headers, (header) => {
        try {
          const { timestamp, signatures } = parseSignatureHeader(header);
          expect(timestamp).toMatch(/^\d{1,12}$/);
          expect(signatures.length).toBeGreaterThan(0);
          for (const signature of signatures) expect(signature).toHaveLength(32);
        } catch (error) {
          expect(error).toBeInstanceOf(SignatureError);
        }
      }),
    );
  });

  it("reads back every timestamp and every v1, in whatever order they stand", () => {
    const signature = fc.uint8Array({ minLength: 32, maxLength: 32 });
    fc.assert(
      fc.property(
        fc.nat({ max: 4_000_000_000 }),
        fc.array(signature, { minLength: 1, maxLength: 5 }),
        fc.nat(),
        (timestamp, signatures, at) => {
          const items = signatures.map((bytes) => `v1=${Buffer.from(bytes).toString("hex")}`);
          items.splice(at % (items.length + 1), 0, `t=${timestamp}`);
          const parsed = parseSignatureHeader(items.join(","));
          expect(parsed.timestamp).toBe(String(timestamp));
          expect(parsed.signatures.map((bytes) => [...bytes])).toEqual(signatures.map((bytes) => [...bytes]));
        },
      ),
    );
  });
});

describe("the verifier", () => {
  it.each([[[]], [[""]], [["  "]], [[SECRET, ""]], [["\n"]]])(
    "is not made from secrets %j, because a blank one verifies forgeries",
    (secrets) => {
      expect(() => createSignatureVerifier(secrets)).toThrow(ConfigurationError);
    },
  );

  it("imports each secret once, however many events come", async () => {
    const importKey = vi.spyOn(crypto.subtle, "importKey");
    const verify = createSignatureVerifier([SECRET, "whsec_example_other"]);
    const header = signatureOf(PAYLOAD);
    await Promise.all(Array.from({ length: 20 }, () => verify(header, bytes(PAYLOAD), NOW_MS)));
    await verify(header, bytes(PAYLOAD), NOW_MS);
    expect(importKey).toHaveBeenCalledTimes(2);
  });

  it("hashes once a secret, however many signatures a header brings", async () => {
    const sign = vi.spyOn(crypto.subtle, "sign");
    const header = `t=${NOW_SECONDS}${`,v1=${HEX}`.repeat(100)}`;
    expect(await verdict(PAYLOAD, header)).toBe("signature_mismatch");
    expect(sign).toHaveBeenCalledTimes(1);
  });
});
