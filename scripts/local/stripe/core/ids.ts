import { randomBytes } from "node:crypto";

const alphabet = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

// Asking the system for a few bytes at a time is slow.
const poolBytes = 4096;
let pool = randomBytes(poolBytes);
let used = 0;

/** Random letters and digits, as in the tail of Stripe's ids. */
export function randomToken(length: number): string {
  if (used + length > pool.length) {
    pool = randomBytes(Math.max(poolBytes, length));
    used = 0;
  }
  let token = "";
  for (const byte of pool.subarray(used, used + length)) token += alphabet[byte % alphabet.length];
  used += length;
  return token;
}

/** A new id such as `sub_1Qx…`: the prefix, `1L` for "local", and random characters. */
export function newId(prefix: string): string {
  return `${prefix}_1L${randomToken(22)}`;
}
