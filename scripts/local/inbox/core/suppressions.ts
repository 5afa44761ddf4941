import { randomUUID } from "node:crypto";
import type { Suppression, SuppressionOrigin } from "resend";
import { canonicalAddress } from "./addresses.ts";

/** The addresses Resend no longer sends to: those that bounced for good, complained, or were put here by hand. */
export class Suppressions {
  private readonly byAddress = new Map<string, Suppression>();
  private readonly onChange: () => void;

  constructor(onChange: () => void = () => {}) {
    this.onChange = onChange;
  }

  has(address: string): boolean {
    return this.byAddress.has(canonicalAddress(address));
  }

  /** Put an address on the list; one that is there stays as it was. */
  add(address: string, origin: SuppressionOrigin, at: Date, sourceId: string | null = null): Suppression {
    const email = canonicalAddress(address);
    const known = this.byAddress.get(email);
    if (known) return known;
    const suppression: Suppression = {
      object: "suppression",
      id: randomUUID(),
      email,
      origin,
      source_id: sourceId,
      created_at: at.toISOString(),
    };
    this.byAddress.set(email, suppression);
    this.onChange();
    return suppression;
  }

  /** By id or by address. */
  find(idOrAddress: string): Suppression | undefined {
    const byAddress = this.byAddress.get(canonicalAddress(idOrAddress));
    return byAddress ?? this.all().find((suppression) => suppression.id === idOrAddress);
  }

  remove(suppression: Suppression): void {
    this.byAddress.delete(suppression.email);
    this.onChange();
  }

  /** In the order they were added. */
  all(): Suppression[] {
    return [...this.byAddress.values()];
  }

  /** Take over the list of an earlier run. */
  restore(suppressions: Suppression[]): void {
    for (const suppression of suppressions) this.byAddress.set(suppression.email, suppression);
  }
}
