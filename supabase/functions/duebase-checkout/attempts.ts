import { SessionRefusedError, StripeCallError } from "../_duebase/errors.ts";
import type { CallStripe } from "../_duebase/stripe.ts";
import { pageOf, sessionError } from "../_duebase/stripe-session.ts";

/** What `billing.begin_checkout` says is to be done about a wish to buy. */
export type Verdict =
  | { outcome: "conflict" }
  | { outcome: "subscribed" }
  | { outcome: "no_owner" }
  | { outcome: "done"; url: string }
  | {
      outcome: "make" | "reuse" | "replace";
      /** Whether Stripe cannot have been asked for it before. */
      is_new: boolean;
      /** Id of the attempt. */
      attempt: string;
      /** What Stripe is to be asked for, or was. */
      request: Record<string, string>;
      /** Null: it is not known whether Stripe has made it. */
      session: string | null;
    };

/** A wish to buy, and what Stripe is to be asked for. */
export type Wish = {
  /** For whom. */
  ownerId: string;
  /** Who asks: a manager of that owner. */
  userId: string;
  /** Of what only one session may be open. */
  scope: string;
  /** What the caller asked for: the same key with another wish is a conflict. */
  wish: Record<string, unknown>;
  /** Form fields of `POST /v1/checkout/sessions`. */
  request: Record<string, string>;
  /** The caller's own name for the attempt. */
  key: string | undefined;
  /** Connected account (acct_…). */
  account: string | undefined;
  /** Whether having bought meanwhile means that nothing is left to buy. */
  isOnce: boolean;
};

export type AttemptDependencies = {
  callStripe: CallStripe;
  begin: (wish: Wish) => Promise<Verdict>;
  /** False: another attempt has taken its place. `expiresAt` in seconds since the epoch. */
  record: (attempt: string, session: string, url: string, expiresAt: number) => Promise<boolean>;
  close: (attempt: string, status: "complete" | "expired") => Promise<void>;
  /** Resolves after that many milliseconds. */
  wait: (ms: number) => Promise<void>;
};

type Attempt = Extract<Verdict, { attempt: string }>;
type Session = { id: string; status: unknown; object: Record<string, unknown> };

const SESSIONS = "/v1/checkout/sessions";
const HINT = "Is the price in the customer's currency, and has the account been activated?";
/** One to find an older session over, one to make its successor, and one in case another tab came first. */
const MAX_ROUNDS = 4;
/** How often, and after how many milliseconds more each time, to ask again while another tab's call is under way. */
const WAITS = 4;
const WAIT_MS = 250;

/**
 * The address of the one open checkout session for a wish: the same one as long as it can be used, a new one
 * otherwise. Whatever else the owner has open of its scope is expired at Stripe first, so that no two can be paid.
 *
 * @throws SessionRefusedError, UpstreamUnavailableError, UpstreamMisconfiguredError
 */
export async function openCheckout(dependencies: AttemptDependencies, wish: Wish): Promise<string> {
  for (let round = 0; round < MAX_ROUNDS; round++) {
    const verdict = await dependencies.begin(wish);
    if (verdict.outcome === "conflict") {
      const message = "That idempotency_key was used with another request before.";
      throw new SessionRefusedError("idempotency_conflict", 409, message);
    }
    if (verdict.outcome === "done") return verdict.url;
    if (verdict.outcome === "subscribed") throw alreadySubscribed();
    if (verdict.outcome === "no_owner")
      throw new SessionRefusedError(
        "owner_deleted",
        409,
        "This owner was deleted. Nothing can be bought for it.",
      );
    const session = await carryOut(dependencies, wish, verdict);
    if (session.status === "open" && verdict.outcome !== "replace") return pageOf(session.object);
    if (session.status === "complete") {
      await dependencies.close(verdict.attempt, "complete");
      if (wish.isOnce) throw alreadySubscribed();
    } else {
      await dependencies.close(verdict.attempt, "expired");
    }
  }
  throw replaced();
}

/** Does at Stripe what the verdict asks for, and says how the session is after that. */
async function carryOut(dependencies: AttemptDependencies, wish: Wish, verdict: Attempt): Promise<Session> {
  const { callStripe } = dependencies;
  const { account } = wish;
  let { session: id } = verdict;
  if (id === null) {
    const made = await make(dependencies, wish, verdict);
    if (verdict.is_new || made.status !== "open") return made;
    // Stripe repeats its answer of when it made the session, which may be over since.
    id = made.id;
  }
  if (verdict.outcome === "replace") {
    try {
      const { object } = await callStripe({ method: "POST", path: `${SESSIONS}/${id}/expire`, account });
      return sessionOf(object);
    } catch (error) {
      // It was not open any more: completed a moment ago, or expired by itself.
      if (!(error instanceof StripeCallError) || error.isPassing) throw sessionError(error, HINT);
    }
  }
  try {
    const { object } = await callStripe({ method: "GET", path: `${SESSIONS}/${id}`, account });
    return sessionOf(object);
  } catch (error) {
    // Stripe does not know it: the key or the mode was changed since. Nobody can complete it here.
    if (error instanceof StripeCallError && error.status === 404)
      return { id, status: "expired", object: {} };
    throw sessionError(error, HINT);
  }
}

/** Makes the session of an attempt; the same one however often it is asked for. */
async function make(dependencies: AttemptDependencies, wish: Wish, verdict: Attempt): Promise<Session> {
  const { record, close } = dependencies;
  let made: Session;
  try {
    made = await post(dependencies, verdict, wish.account);
  } catch (error) {
    if (!isAnswered(error)) throw sessionError(error, HINT);
    // An answer is final under its key, a failure of Stripe's too: the next attempt gets a key of its own.
    await close(verdict.attempt, "expired");
    if (verdict.outcome === "replace") return { id: "", status: "expired", object: {} };
    throw sessionError(error, HINT);
  }
  const expiresAt = Number(made.object.expires_at);
  const isCurrent = await record(verdict.attempt, made.id, pageOf(made.object), expiresAt);
  if (!isCurrent && verdict.outcome === "make") throw replaced();
  return made;
}

/** The call that makes a session. While another tab makes it under the same key, Stripe refuses; it can be repeated. */
async function post(
  { callStripe, wait }: AttemptDependencies,
  { attempt, request }: Attempt,
  account: string | undefined,
): Promise<Session> {
  const idempotencyKey = `checkout:${attempt}`;
  for (let waits = 0; ; waits++) {
    try {
      const { object } = await callStripe({
        method: "POST",
        path: SESSIONS,
        params: request,
        idempotencyKey,
        account,
      });
      return sessionOf(object);
    } catch (error) {
      const isUnderWay = error instanceof StripeCallError && error.status === 409;
      if (!isUnderWay || waits === WAITS) throw error;
      await wait(WAIT_MS * (waits + 1));
    }
  }
}

/** Whether Stripe has taken the call and said no, or failed at it, so that the same key gets the same again. */
function isAnswered(error: unknown): boolean {
  return error instanceof StripeCallError && error.status !== undefined && ![409, 429].includes(error.status);
}

function sessionOf(object: Record<string, unknown>): Session {
  // An answer without a status is of a session just made.
  return { id: String(object.id), status: object.status ?? "open", object };
}

export function alreadySubscribed(): SessionRefusedError {
  const message = "There is a subscription to this product already.";
  return new SessionRefusedError("already_subscribed", 409, message);
}

function replaced(): SessionRefusedError {
  const message = "Another checkout of the same was begun in the meantime. Go on there, or start again.";
  return new SessionRefusedError("checkout_replaced", 409, message);
}
