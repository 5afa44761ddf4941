const plainAddress = /^[\x21-\x7e]+@[^\s@<>,]+\.[^\s@<>,]+$/;
const namedAddress = /^[^<>\r\n]*<([^<>\s]+)>$/;

/** The address itself, out of `ada@example.com` or `Ada <ada@example.com>`; undefined if it is neither. */
export function addressIn(value: string): string | undefined {
  const trimmed = value.trim();
  const address = namedAddress.exec(trimmed)?.[1] ?? trimmed;
  return plainAddress.test(address) ? address : undefined;
}

/** The same in the one spelling that addresses are compared by. */
export function canonicalAddress(value: string): string {
  return (addressIn(value) ?? value.trim()).toLowerCase();
}
