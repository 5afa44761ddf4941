import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { InvalidEventError } from "../../../supabase/functions/_duebase/errors.ts";
import {
  MAX_NESTING,
  nestingExceeds,
  parseJson,
  storableJson,
} from "../../../supabase/functions/_duebase/json.ts";
import "../../support/seeded-properties.ts";

const bytes = (text: string) => new TextEncoder().encode(text);

function refusal(body: Uint8Array): string {
  try {
    parseJson(body);
    return "accepted";
  } catch (error) {
    if (error instanceof InvalidEventError) return error.code;
    throw error;
  }
}

describe("JSON on its way to jsonb", () => {
  it.each([
    ["a NUL in a value", String.raw`{"a":"x\u0000y"}`, String.raw`{"a":"x\ufffdy"}`],
    ["a NUL in a key", String.raw`{"\u0000":1}`, String.raw`{"\ufffd":1}`],
    ["several NULs in a row", String.raw`["\u0000\u0000"]`, String.raw`["\ufffd\ufffd"]`],
    ["a NUL after an escaped backslash", String.raw`["\\\u0000"]`, String.raw`["\\\ufffd"]`],
    ["a high surrogate alone", String.raw`["\uD83D"]`, String.raw`["\ufffd"]`],
    ["a low surrogate alone", String.raw`["\ude00"]`, String.raw`["\ufffd"]`],
    ["a pair the wrong way round", String.raw`["\ude00\ud83d"]`, String.raw`["\ufffd\ufffd"]`],
    [
      "a high surrogate before a pair",
      String.raw`["\ud83d\ud83d\ude00"]`,
      String.raw`["\ufffd\ud83d\ude00"]`,
    ],
  ])("has %s replaced", (_what, text, expected) => {
    expect(storableJson(text)).toBe(expected);
  });

  it.each([
    ["the text u0000 behind an escaped backslash", String.raw`["\\u0000"]`],
    ["the same twice", String.raw`["\\\\u0000"]`],
    ["an escaped backslash before half a pair's digits", String.raw`["\\ud83d"]`],
    ["a whole surrogate pair", String.raw`["\ud83d\ude00"]`],
    ["other escapes", String.raw`["\u0001\n\"\/\b\u00e9\\"]`],
    ["spacing and numbers as they were sent", '{ "n" : 12345678901234567890.10, "e":1E+2 }'],
  ])("keeps %s", (_what, text) => {
    expect(storableJson(text)).toBe(text);
  });

  it("keeps every value but for what Postgres cannot hold, however it was escaped", () => {
    const unit = fc.constantFrom("\0", "\ud83d", "\ude00", "\\", "u0000", "ud83d", '"', "a", "é", "😀", "\n");
    const awkward = fc.array(unit, { maxLength: 8 }).map((units) => units.join(""));
    const { value } = fc.letrec((tie) => ({
      value: fc.oneof(
        { depthSize: "small" },
        awkward,
        fc.integer(),
        fc.array(tie("value"), { maxLength: 4 }),
        fc.array(fc.tuple(awkward, tie("value")), { maxLength: 4 }).map(Object.fromEntries),
      ),
    }));
    fc.assert(
      fc.property(value, fc.boolean(), (original, escapeEverything) => {
        const text = escapeEverything ? escapeStrings(original) : JSON.stringify(original);
        expect(JSON.parse(storableJson(text))).toEqual(asPostgresHolds(original));
      }),
      { numRuns: 500 },
    );
  });
});

describe("parsing", () => {
  it("returns the text as it was sent beside the value", () => {
    const text = '{"amount":\t1999.00,"name":"Žofie 😀"}';
    expect(parseJson(bytes(text))).toEqual({ text, value: { amount: 1999, name: "Žofie 😀" } });
  });

  it.each([
    ["nothing", ""],
    ["text that is no JSON", "hello"],
    ["JSON cut short", '{"id":"evt'],
    ["a string that never ends in a backslash", '"\\'],
    ["two documents", "{}{}"],
    ["a raw NUL byte", '{"a":"\0"}'],
    ["a byte order mark", "\ufeff{}"],
    ["a closing bracket too many", "{}}"],
  ])("refuses %s as invalid_json", (_what, text) => {
    expect(refusal(bytes(text))).toBe("invalid_json");
  });

  it.each([
    ["a byte UTF-8 does not have", [0xff]],
    ["an overlong NUL", [0xc0, 0x80]],
    ["half a surrogate pair in three bytes", [0xed, 0xa0, 0xbd]],
    ["a character cut short", [0xe2, 0x82]],
  ])("refuses %s as invalid_encoding", (_what, broken) => {
    expect(refusal(Uint8Array.of(0x22, ...broken, 0x22))).toBe("invalid_encoding");
  });

  it("takes nesting up to the bound and refuses one level more", () => {
    const nested = (depth: number) => bytes("[".repeat(depth) + "]".repeat(depth));
    expect(refusal(nested(MAX_NESTING))).toBe("accepted");
    expect(refusal(nested(MAX_NESTING + 1))).toBe("too_deeply_nested");
  });

  it.each(["[", '{"a":', '[{"a":'])("survives half a million levels of %s", (opening) => {
    expect(refusal(bytes(opening.repeat(500_000)))).toBe("too_deeply_nested");
  });

  it("does not count brackets inside strings, nor siblings", () => {
    const manyInAString = JSON.stringify({ text: `\\"${"[{".repeat(1000)}` });
    const manySiblings = JSON.stringify(Array.from({ length: 1000 }, () => ({ a: [] })));
    expect(refusal(bytes(manyInAString))).toBe("accepted");
    expect(refusal(bytes(manySiblings))).toBe("accepted");
  });

  it("measures the depth of any JSON as walking it would", () => {
    fc.assert(
      fc.property(fc.jsonValue({ maxDepth: 6 }), (value) => {
        const body = bytes(JSON.stringify(value));
        const depth = depthOf(value);
        expect(nestingExceeds(body, depth)).toBe(false);
        expect(nestingExceeds(body, depth - 1)).toBe(depth > 0);
      }),
    );
  });
});

function depthOf(value: unknown): number {
  if (typeof value !== "object" || value === null) return 0;
  return 1 + Math.max(0, ...Object.values(value).map(depthOf));
}

/** The model: what is left of a value once NUL and unpaired surrogates have become U+FFFD. */
function asPostgresHolds(value: unknown): unknown {
  if (typeof value === "string") return storableText(value);
  if (Array.isArray(value)) return value.map(asPostgresHolds);
  if (typeof value !== "object" || value === null) return value;
  return Object.fromEntries(
    Object.entries(value).map(([key, item]) => [storableText(key), asPostgresHolds(item)]),
  );
}

function storableText(text: string): string {
  return [...text]
    .map((char) => (char === "\0" || /^[\ud800-\udfff]$/.test(char) ? "\ufffd" : char))
    .join("");
}

/** JSON in which every character of every string is a \uXXXX escape, as some writers do. */
function escapeStrings(value: unknown): string {
  if (typeof value === "string") {
    const units = Array.from({ length: value.length }, (_, index) => value.charCodeAt(index));
    return `"${units.map((unit) => `\\u${unit.toString(16).padStart(4, "0")}`).join("")}"`;
  }
  if (Array.isArray(value)) return `[${value.map(escapeStrings).join(",")}]`;
  if (typeof value !== "object" || value === null) return JSON.stringify(value);
  const members = Object.entries(value).map(([key, item]) => `${escapeStrings(key)}:${escapeStrings(item)}`);
  return `{${members.join(",")}}`;
}
