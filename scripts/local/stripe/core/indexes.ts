import type * as wire from "./wire.ts";

/** Fields that never change and that objects are looked for by. */
const fields = {
  dispute: { charge: (it: wire.Dispute) => it.charge },
  invoice: { subscription: (it: wire.Invoice) => it.parent?.subscription_details?.subscription },
  invoice_payment: {
    invoice: (it: wire.InvoicePayment) => it.invoice,
    payment_intent: (it: wire.InvoicePayment) => it.payment.payment_intent,
  },
  invoiceitem: { customer: (it: wire.InvoiceItem) => it.customer },
  refund: { charge: (it: wire.Refund) => it.charge },
  subscription: { customer: (it: wire.Subscription) => it.customer },
};

export type Indexed = keyof typeof fields;
export type IndexedField<N extends Indexed> = keyof (typeof fields)[N] & string;

/** Ids by the value of a field, so that nothing has to be searched through. */
export class Indexes {
  private readonly ids = new Map<string, Set<string>>();

  private each(object: { id: string; object: string }, visit: (key: string) => void): void {
    if (!(object.object in fields)) return;
    const readers = fields[object.object as Indexed] as Record<
      string,
      (it: object) => string | null | undefined
    >;
    for (const [field, read] of Object.entries(readers)) {
      const value = read(object);
      if (value) visit(`${object.object} ${field} ${value}`);
    }
  }

  add(object: { id: string; object: string }): void {
    this.each(object, (key) => {
      const known = this.ids.get(key);
      if (known) known.add(object.id);
      else this.ids.set(key, new Set([object.id]));
    });
  }

  remove(object: { id: string; object: string }): void {
    this.each(object, (key) => this.ids.get(key)?.delete(object.id));
  }

  /** Ids of a kind whose field has a value, oldest first. */
  find(name: string, field: string, value: string): Iterable<string> {
    return this.ids.get(`${name} ${field} ${value}`) ?? [];
  }
}
