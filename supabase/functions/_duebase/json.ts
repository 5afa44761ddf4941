import { InvalidEventError } from "./errors.ts";

/**
 * Deepest nesting accepted. Stripe expands four levels and stays under 20; Postgres' own parser gives up
 * at some thousands, with an error that says nothing to the sender.
 */
export const MAX_NESTING = 100;

const QUOTE = 0x22;
const OPENING_BRACKET = 0x5b;
const BACKSLASH = 0x5c;
const CLOSING_BRACKET = 0x5d;
const OPENING_BRACE = 0x7b;
const CLOSING_BRACE = 0x7d;

// A byte order mark is kept, so that JSON.parse refuses it as Postgres would.
const decoder = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

/** JSON that parsed: the value, and the text as it was sent, numbers and all. */
export type ParsedJson = { value: unknown; text: string };

/**
 * Decodes and parses UTF-8 JSON within the nesting bound.
 *
 * @throws InvalidEventError invalid_encoding, too_deeply_nested or invalid_json.
 */
export function parseJson(bytes: Uint8Array): ParsedJson {
  if (nestingExceeds(bytes, MAX_NESTING)) {
    throw new InvalidEventError(
      "too_deeply_nested",
      `The JSON is nested more than ${MAX_NESTING} levels deep.`,
    );
  }
  let text: string;
  try {
    text = decoder.decode(bytes);
  } catch {
    throw new InvalidEventError("invalid_encoding", "The body is not UTF-8.");
  }
  try {
    return { value: JSON.parse(text), text };
  } catch {
    // The parser's own message quotes the body.
    throw new InvalidEventError("invalid_json", "The body is not JSON.");
  }
}

/** Counts brackets outside strings, byte by byte: constant stack, whatever the input. */
export function nestingExceeds(bytes: Uint8Array, limit: number): boolean {
  let depth = 0;
  for (let index = 0; index < bytes.length; index++) {
    const byte = bytes[index];
    if (byte === QUOTE) index = endOfString(bytes, index);
    else if (byte === OPENING_BRACE || byte === OPENING_BRACKET) {
      if (++depth > limit) return true;
    } else if (byte === CLOSING_BRACE || byte === CLOSING_BRACKET) depth--;
  }
  return false;
}

/** Index of the quote that closes the string opened at `opening`, or past the end where none does. */
function endOfString(bytes: Uint8Array, opening: number): number {
  let index = opening + 1;
  while (index < bytes.length && bytes[index] !== QUOTE) index += bytes[index] === BACKSLASH ? 2 : 1;
  return index;
}

/**
 * Valid JSON as `jsonb` can hold it: Postgres stores neither `\u0000` nor half a surrogate pair, in keys
 * or values, so each becomes U+FFFD. Refusing such an event would make Stripe send it again for days.
 * Text without those escapes is returned as it is.
 */
export function storableJson(text: string): string {
  if (!/\\u(?:0000|[dD][89a-fA-F])/.test(text)) return text;
  // Each alternative consumes a whole escape, so an escaped backslash before "u0000" is never taken for one.
  return text.replace(
    /\\(?:(u[dD][89abAB][\da-fA-F]{2}\\u[dD][c-fC-F][\da-fA-F]{2})|u([\da-fA-F]{4})|[^u])/g,
    (sequence: string, pair: string | undefined, unit: string | undefined) => {
      if (pair !== undefined || unit === undefined) return sequence;
      const code = Number.parseInt(unit, 16);
      return code === 0 || (code >= 0xd800 && code <= 0xdfff) ? "\\ufffd" : sequence;
    },
  );
}
