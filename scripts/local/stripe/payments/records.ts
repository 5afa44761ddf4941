import { newId } from "../core/ids.ts";
import type { PaymentRecord } from "../core/wire.ts";
import type { World } from "../core/world.ts";
import { paymentRecord } from "../objects/invoices.ts";

/** A payment that was made elsewhere; amounts in the currency's smallest unit, times in seconds. */
export interface ReportedPayment {
  value: number;
  /** What of it is sure to have come: all or nothing. */
  guaranteed: number;
  currency: string;
  created: number;
  customer?: PaymentRecord["customer_details"] | undefined;
  presence?: PaymentRecord["customer_presence"] | undefined;
  description?: string | null | undefined;
  metadata?: PaymentRecord["metadata"];
  displayName?: string | null | undefined;
  method?: string | null | undefined;
  type?: string | null | undefined;
  reference?: string | null | undefined;
}

export function insertRecord(world: World, reported: ReportedPayment): PaymentRecord {
  const { value, guaranteed, currency, created } = reported;
  return world.store.insert<"payment_record">(
    paymentRecord({
      id: newId("pr"),
      value,
      guaranteed,
      currency,
      created,
      customer_details: reported.customer ?? null,
      customer_presence: reported.presence ?? null,
      description: reported.description ?? null,
      latest_payment_attempt_record: newId("par"),
      metadata: reported.metadata ?? {},
      payment_method_details: {
        billing_details: null,
        custom: { display_name: reported.displayName ?? "Bank transfer", type: null },
        payment_method: reported.method ?? null,
        type: reported.type ?? "custom",
      },
      processor_details: { custom: { payment_reference: reported.reference ?? null }, type: "custom" },
    }),
  );
}
