import type { Database, Json } from "./database.gen.ts";
import type { CallBilling } from "./database.ts";

/** A claimed row of `billing.outbox`. */
export type Effect = Database["billing"]["Tables"]["outbox"]["Row"] & { claim_id: string };
/** A row of `billing.emails`. */
export type KeptEmail = Database["billing"]["Tables"]["emails"]["Row"];

/** What a claimed email needs next: to be written, or to be sent as it is kept, by itself or with its batch. */
export type EmailStep = {
  id: number;
  batch?: string;
  /** To be written, and not into a batch: it has an attachment. */
  alone?: true;
  render?: { template: string; props: unknown; locales: string[] | null; brand: unknown };
};
/** A mail as it was rendered for one effect, to be stored before it is sent. */
export type WrittenEmail = { id: number; subject?: string; html?: string; text?: string; locale?: string };

/** Resend's answer about one mail of a request it took. */
export type EmailAnswer = { id: number; resend_id: string } | { id: number; refusal: EffectError };
/** How many effects came to which end. */
export type Endings = Partial<Record<"delivered" | "dead" | "pending" | "lost", number>>;

/** Why an attempt failed, as `last_error` keeps it. */
export type EffectError = { code: string; message: string; status?: number; told?: string[] };
/** How an attempt failed, and what follows of that for the next one. */
export type Failure = {
  error: EffectError;
  retryAfterSeconds?: number;
  /** Trying again cannot help. */
  final?: boolean;
  /** It says nothing about the effect: what was asked is away, or the key is wrong. Costs the effect no try. */
  isOutage?: boolean;
};

/** What the evaluation of a customer's cases did, or what has to be read from Stripe before it can decide. */
export type DunningAnswer = { read?: { object: string; id: string }[] } & Partial<
  Record<DunningCount, number>
>;
/** What an evaluation of dunning counts. */
export type DunningCount = "opened" | "closed" | "mails" | "ends" | "held" | "ended" | "called_off";

/** How the end of a dunning case is to be carried out, if it still is. */
export type DunningEnd = {
  read?: { object: string; id: string }[];
  go?: boolean;
  reason?: string;
  action?: "cancel" | "pause" | "mark_uncollectible";
  case?: number;
  subscription?: string | null;
  invoices?: string[];
};

/** How a paused subscription is to be resumed, if it still is. */
export type Resumption = {
  read?: { object: string; id: string }[];
  go?: boolean;
  reason?: string;
  subscription?: string;
  /** Calls at Stripe, in order. */
  calls?: ("clear_pause_collection" | "resume_subscription")[];
};

/** Which account and mode the project mirrors, and what a key of these must find. */
export type StripeIdentity = {
  livemode: boolean;
  /** Connected account (acct_…) to act for; null: the platform account itself. */
  account: string | null;
  witnesses: readonly { object: string; id: string }[];
};

/** Whether an overdue invoice is still to be charged to a card that was given. */
export type CardCharge = { go: boolean; reason?: string; invoice: string; payment_method: string };

/** Which quantity Stripe is to be given for an owner's seats, if it still is. */
export type SeatsChange = {
  read?: readonly { object: string; id: string }[];
  go?: boolean;
  reason?: string;
  subscription?: string;
  quantity?: number;
  /** Form fields of the update, in Stripe's spelling. */
  params?: Record<string, string>;
  /** Names the default cards there were. */
  cards?: string;
  /** Pays where Stripe charged an older card that was declined. */
  card?: string | null;
};

/** What came of a change of seats: what was asked for, and the card that paid where it was not the one Stripe charged. */
export type SeatsResult = { tried?: number; cards?: string; paidWith?: string };

/** Who a worker is, and what it takes where the database says nothing. */
export type OutboxSettings = {
  /** Names this run, for people who read the table. */
  worker: string;
  /** The sender of mail where settings name none. */
  defaultSender?: string;
  /** A clock that is not the database's: only the local stack has one. */
  now?: string;
};

/** The outbox as one worker sees it. */
export type Outbox = ReturnType<typeof connectOutbox>;

/** The functions of the database a worker speaks to, for one run. Each rejects as CallBilling does. */
export function connectOutbox(callBilling: CallBilling, { worker, defaultSender, now }: OutboxSettings) {
  const call: CallBilling = (name, args) => callBilling(name, args);
  const at = (args: Record<string, unknown>, moment = now) => JSON.stringify({ ...args, p_now: moment });
  const json = (args: Record<string, unknown>) => at(args);
  const held = (effect: Effect) => ({ p_id: effect.id, p_claim_id: effect.claim_id });
  const seconds = (value: number | undefined) => (value === undefined ? null : `${value} seconds`);

  return {
    async claim(limit: number, leaseSeconds: number, kinds: string[] | null): Promise<Effect[]> {
      const rows = await call(
        "claim_outbox",
        json({ p_worker: worker, p_limit: limit, p_lease: `${leaseSeconds} seconds`, p_kinds: kinds }),
      );
      return rows as Effect[];
    },
    /** Whether an effect is still to be performed; asked right before its first call. */
    confirm: (effect: Effect): Promise<boolean> => call("confirm_effect", json(held(effect))),
    complete: (effect: Effect) => call("complete_outbox", json(held(effect))),
    fail: (effect: Effect, { error, retryAfterSeconds, final, isOutage }: Failure) =>
      call(
        "fail_outbox",
        json({
          ...held(effect),
          p_error: error,
          p_retry_after: seconds(retryAfterSeconds),
          p_is_final: final ?? false,
          p_is_outage: isOutage ?? false,
        }),
      ),
    release: (effects: readonly Effect[], afterSeconds?: number) =>
      call(
        "release_outbox",
        json({
          p_ids: effects.map(({ id }) => id),
          p_claim_id: effects[0]?.claim_id,
          p_retry_after: seconds(afterSeconds),
        }),
      ),
    async prepareEmails(effects: readonly Effect[]): Promise<EmailStep[]> {
      const steps: Json = await call(
        "prepare_emails",
        json({
          p_ids: effects.map(({ id }) => id),
          p_claim_id: effects[0]?.claim_id,
          p_default_sender: defaultSender,
        }),
      );
      return steps as unknown as EmailStep[];
    },
    beginEmails: (claimId: string, emails: readonly WrittenEmail[]): Promise<KeptEmail[]> =>
      call("begin_emails", json({ p_claim_id: claimId, p_emails: emails, p_default_sender: defaultSender })),
    async finishEmails(claimId: string, answers: readonly EmailAnswer[]): Promise<Endings> {
      const endings = await call("finish_emails", json({ p_claim_id: claimId, p_answers: answers }));
      return endings as Endings;
    },
    async failEmails(
      effects: readonly Effect[],
      isRefusal: boolean,
      { error, retryAfterSeconds, final }: Failure,
    ): Promise<Endings> {
      const endings = await call(
        "fail_emails",
        json({
          p_ids: effects.map(({ id }) => id),
          p_claim_id: effects[0]?.claim_id,
          p_error: error,
          p_is_refusal: isRefusal,
          p_retry_after: seconds(retryAfterSeconds),
          p_is_final: final ?? false,
        }),
      );
      return endings as Endings;
    },
    /** `moment`: a clock for this evaluation, where it is not the run's. */
    async takeDunningSteps(
      customer: string,
      checked: Iterable<string>,
      moment?: string,
    ): Promise<DunningAnswer> {
      const args = { p_customer: customer, p_checked: [...checked] };
      return (await call("take_dunning_steps", at(args, moment))) as DunningAnswer;
    },
    async reviewDunningEnd(action: number, checked: Iterable<string>, moment?: string): Promise<DunningEnd> {
      const args = { p_action: action, p_checked: [...checked] };
      return (await call("review_dunning_end", at(args, moment))) as unknown as DunningEnd;
    },
    finishDunningEnd: (action: number, moment?: string) =>
      call("finish_dunning_end", at({ p_action: action }, moment)),
    async reviewResumption(
      resumption: number,
      checked: Iterable<string>,
      moment?: string,
    ): Promise<Resumption> {
      const args = { p_id: resumption, p_checked: [...checked] };
      return (await call("review_resumption", at(args, moment))) as unknown as Resumption;
    },
    finishResumption: (resumption: number, moment?: string) =>
      call("finish_resumption", at({ p_id: resumption }, moment)),
    async stripeIdentity(): Promise<StripeIdentity> {
      return (await call("stripe_identity", "{}")) as unknown as StripeIdentity;
    },
    async reviewCardCharge(charge: number, moment?: string): Promise<CardCharge> {
      return (await call("review_card_charge", at({ p_charge: charge }, moment))) as unknown as CardCharge;
    },
    finishCardCharge: (charge: number, status: string, reason?: string, moment?: string) =>
      call(
        "finish_card_charge",
        at({ p_charge: charge, p_status: status, p_reason: reason ?? null }, moment),
      ),
    async reviewSeats(owner: string, checked: Iterable<string>): Promise<SeatsChange> {
      const args = { p_owner_id: owner, p_checked: [...checked] };
      return (await call("review_seats", JSON.stringify(args))) as unknown as SeatsChange;
    },
    finishSeats: (owner: string, effect: Effect, { tried, cards, paidWith }: SeatsResult = {}) =>
      call(
        "finish_seats",
        json({
          p_owner_id: owner,
          p_outbox_id: effect.id,
          p_tried: tried ?? null,
          p_cards: cards ?? null,
          p_paid_with: paidWith ?? null,
        }),
      ),
    applyRefresh: (object: unknown, readAt: string) =>
      call("apply_refresh", json({ object, p_read_at: readAt })),
  };
}
