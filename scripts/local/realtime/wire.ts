/** A message of Phoenix channels, which Realtime speaks. */
export interface Message {
  joinRef: string | null;
  ref: string | null;
  topic: string;
  event: string;
  payload: unknown;
}

/** How messages are written: as arrays (2.0.0, what supabase-js sends today) or as objects (1.0.0). */
export type Version = "1.0.0" | "2.0.0";

/** Reads one message; undefined where it is none. */
export function decodeMessage(text: string): Message | undefined {
  const value = parse(text);
  if (Array.isArray(value)) {
    const [joinRef, ref, topic, event, payload] = value;
    return typeof topic === "string" && typeof event === "string"
      ? { joinRef: textOf(joinRef), ref: textOf(ref), topic, event, payload }
      : undefined;
  }
  if (!isRecord(value) || typeof value.topic !== "string" || typeof value.event !== "string")
    return undefined;
  const { join_ref, ref, topic, event, payload } = value;
  return { joinRef: textOf(join_ref), ref: textOf(ref), topic, event, payload };
}

/** Writes one message. */
export function encodeMessage({ joinRef, ref, topic, event, payload }: Message, version: Version): string {
  return JSON.stringify(
    version === "2.0.0"
      ? [joinRef, ref, topic, event, payload]
      : { join_ref: joinRef, ref, topic, event, payload },
  );
}

export function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

const textOf = (value: unknown): string | null => (typeof value === "string" ? value : null);

function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
