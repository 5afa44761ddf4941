import type { CallBilling } from "../database.ts";
import { StripeCallError } from "../errors.ts";
import { modeOfKey } from "../stripe.ts";
import { BACKFILL_LISTS, expansions } from "./lists.ts";
import type { StripeReader } from "./reader.ts";

/** Why nothing was read: the key is of another account or mode, or may not list what is needed. */
export class HistoryRefusal extends Error {
  override readonly name = "HistoryRefusal";
  readonly code: "wrong_mode" | "wrong_account" | "permission_missing" | "key_refused";
  /** What to do about it. */
  readonly cure: string;

  constructor(code: HistoryRefusal["code"], message: string, cure: string) {
    super(message);
    this.code = code;
    this.cure = cure;
  }
}

/** What the database says of the account that it mirrors. */
export type StripeIdentity = {
  livemode: boolean;
  account: string | null;
  witnesses: { object: string; id: string }[];
};

/** Whose the key is, as far as it may tell. */
export type CheckedKey = {
  account: string | undefined;
  livemode: boolean;
  /** ISO 8601, by Stripe's clock: what happens from then on is told by events. */
  asOf: string;
};

const NAME = "DUEBASE_STRIPE_SECRET_KEY";

/**
 * Makes sure, before anything is written, that the key is of the account and mode that the project mirrors, and may list
 * what will be listed: one call for each list.
 *
 * @param knownAccount account of an earlier run, if any
 * @param paths lists that are needed, as `/v1/…`
 * @throws HistoryRefusal; StripeCallError where Stripe does not answer
 */
export async function checkKey(parts: {
  reader: StripeReader;
  identity: StripeIdentity;
  secretKey: string;
  knownAccount?: string | null;
  paths?: readonly string[];
}): Promise<CheckedKey> {
  const { reader, identity, secretKey, knownAccount, paths = LISTED_PATHS } = parts;
  const mode = identity.livemode ? "live" : "test";
  const keyMode = modeOfKey(secretKey);
  if (keyMode !== undefined && keyMode !== mode) {
    throw new HistoryRefusal(
      "wrong_mode",
      `${NAME} is a ${keyMode} key, and billing.settings.livemode says that this project mirrors ${mode} mode.`,
      `Use a ${mode} key, or set billing.settings.livemode.`,
    );
  }
  const account = await accountOfKey(reader, identity, knownAccount);
  await findWitness(reader, identity);
  const asOf = await tryLists(reader, paths, identity.livemode);
  return { account, livemode: identity.livemode, asOf };
}

/** Every list of a backfill once. */
export const LISTED_PATHS: readonly string[] = [
  ...new Set([...BACKFILL_LISTS.map(({ path }) => path), "/v1/entitlements/features", "/v1/events"]),
];

async function accountOfKey(
  reader: StripeReader,
  identity: StripeIdentity,
  knownAccount: string | null | undefined,
): Promise<string | undefined> {
  let account: string | undefined;
  try {
    const { object } = await reader.read("/v1/account");
    account = typeof object.id === "string" ? object.id : undefined;
  } catch (error) {
    if (!(error instanceof StripeCallError)) throw error;
    if (error.status === 401) {
      throw new HistoryRefusal(
        "key_refused",
        `Stripe refuses ${NAME}: ${error.message}`,
        "Set a key that is in force.",
      );
    }
    if (error.code === "account_invalid") {
      throw new HistoryRefusal(
        "wrong_account",
        `${NAME} may not act for ${identity.account}, which billing.settings.stripe_account names.`,
        "Use a key of the platform that the account is connected to, or correct the setting.",
      );
    }
    // A restricted key need not be able to tell whose it is.
    if (error.status !== 403) throw error;
  }
  const expected = identity.account ?? knownAccount;
  if (account !== undefined && expected !== null && expected !== undefined && account !== expected) {
    throw new HistoryRefusal(
      "wrong_account",
      `${NAME} is of account ${account}, and this project mirrors ${expected}.`,
      "Use a key of that account.",
    );
  }
  return account;
}

const WITNESS_PATHS: Record<string, string> = { subscription: "subscriptions", customer: "customers" };

/** At least one of the objects that Stripe told this project of has to be there. */
async function findWitness(reader: StripeReader, { witnesses }: StripeIdentity): Promise<void> {
  let missing: string | undefined;
  for (const { object, id } of witnesses) {
    const resource = WITNESS_PATHS[object];
    if (resource === undefined) continue;
    try {
      await reader.read(`/v1/${resource}/${encodeURIComponent(id)}`);
      return;
    } catch (error) {
      if (!(error instanceof StripeCallError) || (error.status !== 404 && error.status !== 403)) throw error;
      if (error.status === 404) missing ??= id;
    }
  }
  if (missing === undefined) return;
  throw new HistoryRefusal(
    "wrong_account",
    `${NAME} does not find ${missing}, of which Stripe has told this project: it is of another account, or of the other mode.`,
    "Use a key of the account whose webhooks this project receives.",
  );
}

/** Asks for one object of each list, and returns the time of the first answer. */
async function tryLists(reader: StripeReader, paths: readonly string[], livemode: boolean): Promise<string> {
  const missing: string[] = [];
  let asOf: string | undefined;
  for (const path of paths) {
    try {
      // What is read with each object needs a permission of its own.
      const list = BACKFILL_LISTS.find((it) => it.path === path && it.expand !== undefined);
      const { data, readAt } = await reader.page(path, { limit: "1", ...expansions(list?.expand) });
      asOf ??= readAt;
      const [first] = data;
      if (first !== undefined && typeof first.livemode === "boolean" && first.livemode !== livemode) {
        throw new HistoryRefusal(
          "wrong_mode",
          `${NAME} reads ${first.livemode ? "live" : "test"} mode, and this project mirrors the other one.`,
          "Use a key of the mode that billing.settings.livemode says.",
        );
      }
    } catch (error) {
      if (!(error instanceof StripeCallError) || error.status !== 403) throw error;
      missing.push(permissionOf(error.message) ?? `read of ${path}`);
    }
  }
  if (missing.length === 0 && asOf !== undefined) return asOf;
  throw new HistoryRefusal(
    "permission_missing",
    `${NAME} may not list what is needed. It lacks ${[...new Set(missing)].join(", ")}.`,
    "Give the restricted key these permissions in Stripe's dashboard under Developers, API keys, and run it again.",
  );
}

/** The permission that Stripe's answer names, such as rak_invoice_read. */
function permissionOf(message: string): string | undefined {
  return /'(rak_[a-z0-9_]+)'/.exec(message)?.[1];
}

/** What the database knows of the account. */
export async function readIdentity(callBilling: CallBilling): Promise<StripeIdentity> {
  return (await callBilling("stripe_identity", "{}")) as unknown as StripeIdentity;
}
