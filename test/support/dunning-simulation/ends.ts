import { passThrough, type ReachPoint } from "../../../supabase/functions/_duebase/crash-points.ts";
import type { DunningWorld } from "../dunning-world.ts";
import type { Random } from "../simulation/random.ts";

/** What dunning did at Stripe at the end of a case, by Stripe's ledger, with the state at that moment. */
export interface End {
  kind: "cancel" | "pause" | "mark_uncollectible";
  /** The subscription, or the invoice. */
  object: string;
  customer: string;
  caseId: number;
  /** By Stripe's clock. */
  at: Date;
  /** Invoices that were unpaid right after it, or that were paid while the end was being made. */
  unpaid: string[];
  /** Payments of those invoices that were processing. */
  processing: string[];
}

/** Records the ends that dunning makes at Stripe, and has customers pay while an end is being made. */
export class EndWatch {
  readonly #world: DunningWorld;
  #seen = 0;
  /** Invoices that were paid between a read of Stripe and the call that follows it. */
  readonly #paidInTheGap = new Set<string>();

  constructor(world: DunningWorld) {
    this.#world = world;
  }

  /** A reach that sometimes has a customer pay when an end has just been reviewed, or is being made. */
  reach(inner: ReachPoint | undefined, pays: boolean, random: Random): ReachPoint {
    const point = random.pick(["end_reviewed", "call_checked", "call_made"]);
    let left = pays && random.chance(0.4) ? random.int(1, 3) : 0;
    return async (current) => {
      if (current === point && left > 0) {
        left -= 1;
        if (left === 0) await this.#payWhatIsEnding();
      }
      await (inner ?? passThrough)(current);
    };
  }

  async #payWhatIsEnding(): Promise<void> {
    const [ending] = await this.#world.database.sql<{ invoices: string[] }[]>`
      select d.invoices
      from billing.dunning_actions as d join billing.outbox as o on o.id = d.outbox_id
      where d.kind = 'end' and d.status = 'planned' and o.status = 'claimed'
      order by d.id
      limit 1`;
    for (const id of ending?.invoices ?? []) {
      const { status } = await this.#world.stripe.invoices.retrieve(id);
      if (status !== "open") continue;
      await this.#world.stripe.invoices.pay(id, { paid_out_of_band: true });
      this.#paidInTheGap.add(id);
    }
  }

  /** Pays the invoice that is being read, or one of the subscription's, while Stripe's answer is on its way. */
  async payWhatIsRead(path: string): Promise<void> {
    const { stripe } = this.#world;
    const object = path.split("/").at(-1) ?? "";
    const [first] = object.startsWith("sub_")
      ? (await stripe.invoices.list({ subscription: object, status: "open", limit: 1 })).data
      : object.startsWith("in_")
        ? [await stripe.invoices.retrieve(object)]
        : [];
    if (first?.id === undefined || first.status !== "open") return;
    await stripe.invoices.pay(first.id, { paid_out_of_band: true });
    this.#paidInTheGap.add(first.id);
  }

  /** Starts to record: the changes at Stripe from here on are made by dunning. */
  begin(): void {
    this.#seen = this.#world.local.ledger.effects.length;
  }

  /** The ends made since `begin`. */
  async endsSinceBegin(): Promise<End[]> {
    const { effects, requests } = this.#world.local.ledger;
    const fresh = effects.slice(this.#seen);
    const ends: End[] = [];
    for (const effect of fresh) {
      const request =
        effect.request === null ? undefined : requests.findLast(({ id }) => id === effect.request);
      if (request === undefined || effect.customer === null) continue;
      const kind = kindOf(request);
      if (kind === undefined || /:mark$/.test(request.idempotencyKey ?? "")) continue;
      ends.push({
        kind,
        object: effect.object,
        customer: effect.customer,
        caseId: await this.#caseOf(kind, effect.object, request.idempotencyKey),
        at: new Date(effect.at * 1000),
        ...(await this.#standing(kind, effect.object, effect.at)),
      });
    }
    return ends;
  }

  async #caseOf(kind: End["kind"], object: string, key: string | null): Promise<number> {
    if (kind !== "mark_uncollectible") {
      const { metadata } = await this.#world.stripe.subscriptions.retrieve(object);
      return Number(metadata.duebase_dunning_case);
    }
    const action = /^dunning-end:(\d+):/.exec(key ?? "")?.[1] ?? "0";
    const [row] = await this.#world.database.sql<{ id: number }[]>`
      select case_id::integer as id from billing.dunning_actions where id = ${action}`;
    return row?.id ?? 0;
  }

  async #standing(
    kind: End["kind"],
    object: string,
    at: number,
  ): Promise<Pick<End, "unpaid" | "processing">> {
    const { stripe } = this.#world;
    if (kind === "mark_uncollectible") return { unpaid: [object], processing: [] };
    const { data: invoices } = await stripe.invoices.list({ subscription: object, limit: 100 });
    const unpaid = invoices.flatMap(({ id, status, status_transitions }) => {
      // A policy may void the unpaid invoices when it ends a subscription.
      const wasUnpaid = status === "open" || (status === "void" && (status_transitions.voided_at ?? 0) >= at);
      return id !== undefined && (wasUnpaid || this.#paidInTheGap.has(id)) ? [id] : [];
    });
    const processing: string[] = [];
    for (const invoice of unpaid) {
      const { data } = await stripe.invoicePayments.list({ invoice, status: "open" });
      for (const { payment } of data) {
        const intent = await stripe.paymentIntents.retrieve(String(payment.payment_intent));
        if (intent.status === "processing") processing.push(intent.id);
      }
    }
    return { unpaid, processing };
  }
}

function kindOf({
  method,
  path,
  idempotencyKey,
}: {
  method: string;
  path: string;
  idempotencyKey: string | null;
}): End["kind"] | undefined {
  if (method === "DELETE" && path.startsWith("/v1/subscriptions/")) return "cancel";
  if (!idempotencyKey?.startsWith("dunning-end:")) return undefined;
  return path.endsWith("/mark_uncollectible") ? "mark_uncollectible" : "pause";
}
