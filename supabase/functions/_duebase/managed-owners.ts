import { callDataApi, type DatabaseSettings, keyHeaders } from "./database.ts";
import {
  DatabaseMisconfiguredError,
  NotAManagerError,
  NotSignedInError,
  OwnerRequiredError,
  SessionRefusedError,
} from "./errors.ts";

/**
 * The ids of the owners that the user of an access token manages; with `ownerId` that one, or none. Rejects with a
 * NotSignedInError where the database does not take the token.
 */
export type ReadManagedOwners = (token: string, ownerId?: string) => Promise<string[]>;

/**
 * Asks the database as the signed-in user: `billing.my_owners` answers for the user of the token, and nobody can ask
 * for another one. The rows are filtered there, as the Data API gives no more than its `max_rows`, and looked at again
 * here.
 */
export function connectOwners(settings: DatabaseSettings): ReadManagedOwners {
  const { apikey = "" } = keyHeaders(settings.secretKey);
  return async (token, ownerId) => {
    const filter = ownerId === undefined ? "" : `&owner_id=eq.${ownerId}`;
    const call = `my_owners?select=owner_id,can_manage&can_manage=is.true&order=owner_id${filter}`;
    const identity = { apikey, authorization: `Bearer ${token}` };
    return ownersIn(await callDataApi(settings, call, identity, "{}").catch(rethrow));
  };
}

/** PGRST301 and PGRST303: the Data API cannot verify the token, or it has expired since. */
function rethrow(error: unknown): never {
  const refusesToken =
    error instanceof DatabaseMisconfiguredError && /^PGRST30[13]$/.test(error.diagnostics.sqlstate ?? "");
  if (!refusesToken) throw error;
  throw new NotSignedInError({
    ...error.diagnostics,
    reason: "The Data API does not accept the user's token.",
  });
}

function ownersIn(answer: unknown): string[] {
  if (!Array.isArray(answer) || !answer.every(isOwnerRow)) {
    throw new DatabaseMisconfiguredError({ reason: "my_owners does not answer with owners." });
  }
  return [...new Set(answer.filter((row) => row.can_manage).map((row) => row.owner_id))];
}

function isOwnerRow(row: unknown): row is { owner_id: string; can_manage: boolean } {
  const { owner_id, can_manage }: Record<string, unknown> = { ...(row as object | null) };
  return typeof owner_id === "string" && typeof can_manage === "boolean";
}

/**
 * Reads `owner_id` of a body: for whom the user acts, in lower case; undefined where it is left out.
 *
 * @throws SessionRefusedError invalid_request
 */
export function readOwnerId(value: unknown): string | undefined {
  if (value === undefined) return undefined;
  if (typeof value === "string" && /^[\da-f]{8}(-[\da-f]{4}){3}-[\da-f]{12}$/i.test(value))
    return value.toLowerCase();
  throw new SessionRefusedError("invalid_request", 400, '"owner_id" is the id of an owner, a uuid.');
}

/**
 * For whom a user acts: the owner they named, or the only one they manage.
 *
 * @param managed ids of the owners the user manages
 * @throws NotAManagerError where they do not manage it, or none; OwnerRequiredError where they manage several
 */
export function ownerToActFor(managed: readonly string[], named: string | undefined): string {
  const candidates = named === undefined ? managed : managed.filter((owner) => owner === named);
  const [owner, ...others] = candidates;
  if (owner === undefined) throw new NotAManagerError();
  if (others.length > 0) throw new OwnerRequiredError(candidates);
  return owner;
}
