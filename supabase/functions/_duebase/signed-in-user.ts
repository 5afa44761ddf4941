import { DATABASE_TIMEOUT_MS, keyHeaders } from "./database.ts";
import { NotSignedInError, UpstreamMisconfiguredError, UpstreamUnavailableError } from "./errors.ts";

/** The user a request comes from. */
export type SignedInUser = {
  /** Id in auth.users. */
  id: string;
  /** Undefined for users who signed up by phone or anonymously. */
  email: string | undefined;
};

/** Finds out whose access token it is; rejects with a NotSignedInError where it is not valid. */
export type VerifyUser = (token: string) => Promise<SignedInUser>;

/** Auth's tokens are one to two KB; far longer ones fit no header. */
const MAX_TOKEN_LENGTH = 16_384;

/**
 * The access token of a request's `authorization` header. Clients that are not signed in put the publishable key
 * there, which is no token.
 *
 * @throws NotSignedInError where there is none.
 */
export function bearerToken(request: Request): string {
  const header = request.headers.get("authorization") ?? "";
  const token = /^Bearer +([\w-]+\.[\w-]+\.[\w-]+)$/i.exec(header)?.[1];
  if (token === undefined || token.length > MAX_TOKEN_LENGTH) throw new NotSignedInError();
  return token;
}

/**
 * Asks the project's Auth whose token it is. Auth knows every key it ever signed with, symmetric or not, and that
 * a session was ended or its user deleted, which the token itself does not.
 * https://supabase.com/docs/reference/javascript/auth-getuser
 */
export function connectAuth(settings: {
  url: string;
  secretKey: string;
  timeoutMs?: number;
  fetch?: typeof fetch;
}): VerifyUser {
  const { url, secretKey, timeoutMs = DATABASE_TIMEOUT_MS, fetch: send = fetch } = settings;
  const { apikey = "" } = keyHeaders(secretKey);
  return async (token) => {
    let response: Response;
    let answer: unknown;
    try {
      response = await send(`${url}/auth/v1/user`, {
        headers: { apikey, authorization: `Bearer ${token}`, accept: "application/json" },
        redirect: "manual",
        signal: AbortSignal.timeout(timeoutMs),
      });
      answer = parse(await response.text());
    } catch {
      throw new UpstreamUnavailableError("auth", { reason: "Auth cannot be reached, or does not answer." });
    }
    const { status } = response;
    if (!response.ok) throw refusal(status, answer);
    const user = userIn(answer);
    if (user === undefined) {
      throw new UpstreamMisconfiguredError("auth", {
        reason: "The answer is no user: SUPABASE_URL does not lead to a project's Auth.",
        upstream_status: status,
      });
    }
    return user;
  };
}

/** Auth names the error of a token; the gateway before it, which refuses the key, does not. */
function refusal(status: number, answer: unknown): Error {
  const diagnostics = { upstream_status: status };
  if (status === 408 || status === 429 || status >= 500) {
    return new UpstreamUnavailableError("auth", { reason: "Auth reported a failure.", ...diagnostics });
  }
  const { error_code, code } = fieldsOf(answer);
  if ([400, 401, 403, 404].includes(status) && (typeof error_code === "string" || typeof code === "string")) {
    return new NotSignedInError(diagnostics);
  }
  const reason = "Auth does not accept the secret key: check SUPABASE_SECRET_KEYS.";
  return new UpstreamMisconfiguredError("auth", { reason, ...diagnostics });
}

function userIn(answer: unknown): SignedInUser | undefined {
  const { id, email } = fieldsOf(answer);
  if (typeof id !== "string" || !/^[\da-f]{8}(-[\da-f]{4}){3}-[\da-f]{12}$/i.test(id)) return undefined;
  return { id, email: typeof email === "string" && email !== "" ? email : undefined };
}

function fieldsOf(value: unknown): Record<string, unknown> {
  return typeof value === "object" && value !== null ? { ...value } : {};
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
