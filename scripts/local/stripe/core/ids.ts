import { randomBytes } from "node:crypto";

const alphabet = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

/** Random letters and digits, as in the tail of Stripe's ids. */
export function randomToken(length: number): string {
  let token = "";
  for (const byte of randomBytes(length)) token += alphabet[byte % alphabet.length];
  return token;
}

/** A new id such as `sub_1Qx…`: the prefix, `1L` for "local", and random characters. */
export function newId(prefix: string): string {
  return `${prefix}_1L${randomToken(22)}`;
}
