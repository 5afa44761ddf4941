import { setTimeout as delay } from "node:timers/promises";
import type { z } from "zod";
import { Refusal } from "../terminal.ts";

/** One call to another service's API. */
export interface ApiRequest {
  method: "GET" | "POST" | "PATCH" | "DELETE";
  /** As the service documents it, with its query. */
  path: string;
  /** Already written as the service takes it. */
  body?: string;
  contentType?: string;
  headers?: Record<string, string>;
  /**
   * Whether doing it twice is the same as doing it once. Such a call is made again where no answer came, or an answer
   * of 5xx. Any call is made again after 429, as nothing was done.
   */
  isRepeatable: boolean;
}

/** How a service is called. */
export interface ApiSettings {
  /** As people know it: `Supabase`, `Stripe`, `Resend`. */
  service: string;
  baseUrl: string;
  /** Goes into the authorization header, and nowhere else. */
  secret: string;
  /** Milliseconds that one answer may take. Default 20,000. */
  timeout?: number;
  /** Waits so many milliseconds; tests wait less. */
  wait?: (milliseconds: number) => Promise<unknown>;
}

/** What a service answered. */
export interface ApiAnswer {
  status: number;
  /** The parsed JSON, or null where the body is empty or no JSON. */
  body: unknown;
}

/** How often a call is made at most, and the longest wait between two, in milliseconds. */
const TRIES = 4;
const LONGEST_WAIT = 60_000;

/** A service did not answer, or not in time. What became of the call is not known. */
export class NoAnswer extends Refusal {
  override readonly name = "NoAnswer";

  /** @param service as people know it */
  constructor(service: string, request: ApiRequest, cause?: unknown) {
    super(
      `${service} did not answer ${named(request)}${reasonOf(cause)}.`,
      "Is this machine online? Run the command again: it goes on where it stopped.",
      { cause },
    );
  }
}

/**
 * Calls a service. Waits and calls again as often as makes sense: after 429 as long as the service says, after no answer
 * or 5xx where the call can be repeated.
 *
 * @returns the last answer, whatever its status
 * @throws NoAnswer
 */
export async function callApi(settings: ApiSettings, request: ApiRequest): Promise<ApiAnswer> {
  const wait = settings.wait ?? delay;
  for (let attempt = 1; ; attempt += 1) {
    const outcome = await answerTo(settings, request);
    const again = attempt < TRIES && (isLimited(outcome) || (request.isRepeatable && mayPass(outcome)));
    if (!again) {
      if (outcome instanceof Response) return { status: outcome.status, body: await jsonOf(outcome) };
      throw new NoAnswer(settings.service, request, outcome.error);
    }
    const told = outcome instanceof Response ? secondsToWait(outcome.headers) : undefined;
    if (outcome instanceof Response) await outcome.body?.cancel();
    await wait(Math.min(LONGEST_WAIT, told === undefined ? 500 * 2 ** attempt : told * 1000));
  }
}

/** Whether a call was answered with success, or with a status that is as good here. */
export function isFine({ status }: ApiAnswer, alsoFine: readonly number[] = []): boolean {
  return (status >= 200 && status < 300) || alsoFine.includes(status);
}

/**
 * The body of an answer, in the shape that the service documents.
 *
 * @throws Refusal where it has another
 */
export function shaped<T>(service: string, request: ApiRequest, shape: z.ZodType<T>, body: unknown): T {
  const result = shape.safeParse(body);
  if (!result.success) throw unexpectedAnswer(service, request);
  return result.data;
}

/** A value of the answer that has to be a list or an object; anything else is no API of the kind. */
export function unexpectedAnswer(service: string, request: ApiRequest): Refusal {
  return new Refusal(
    `${service} answered ${named(request)} with something else than its documentation says.`,
    "Is the address of the API right? Otherwise this release of duebase is too old for it.",
  );
}

/** A call as an error names it: without its query. */
export function named({ method, path }: Pick<ApiRequest, "method" | "path">): string {
  return `${method} ${path.split("?")[0]}`;
}

/** A text in which nothing of these is left, in case a service repeats what it was sent. */
export function withoutSecrets(text: string, secrets: Iterable<string>): string {
  let shown = text;
  for (const secret of secrets) if (secret !== "") shown = shown.replaceAll(secret, "***");
  return shown;
}

type Outcome = Response | { error: unknown };

async function answerTo(settings: ApiSettings, request: ApiRequest): Promise<Outcome> {
  const { baseUrl, secret, timeout = 20_000 } = settings;
  try {
    const response = await fetch(`${baseUrl.replace(/\/+$/, "")}${request.path}`, {
      method: request.method,
      // A key is sent to nobody but the address it is for.
      redirect: "manual",
      headers: {
        authorization: `Bearer ${secret}`,
        "user-agent": "duebase",
        ...(request.body === undefined ? {} : { "content-type": request.contentType ?? "application/json" }),
        ...request.headers,
      },
      body: request.body,
      signal: AbortSignal.timeout(timeout),
    });
    // The body too has to come in time.
    return new Response(bodyOf(response.status, await response.text()), response);
  } catch (error) {
    return { error };
  }
}

/** These statuses have no body, and a Response must not be given one. */
function bodyOf(status: number, text: string): string | null {
  return [204, 205, 304].includes(status) ? null : text;
}

async function jsonOf(response: Response): Promise<unknown> {
  try {
    return JSON.parse(await response.text());
  } catch {
    return null;
  }
}

function isLimited(outcome: Outcome): boolean {
  return outcome instanceof Response && outcome.status === 429;
}

function mayPass(outcome: Outcome): boolean {
  return !(outcome instanceof Response) || outcome.status >= 500;
}

/** Stripe and Resend say it in `retry-after`, Supabase in `x-ratelimit-reset`; all in seconds. */
function secondsToWait(headers: Headers): number | undefined {
  for (const name of ["retry-after", "x-ratelimit-reset", "ratelimit-reset"]) {
    const value = headers.get(name);
    if (value !== null && /^\d+(\.\d+)?$/.test(value.trim())) return Number(value);
  }
  return undefined;
}

/** Why there was no answer, in words that hold no address with a key in it. */
function reasonOf(error: unknown): string {
  if (error instanceof Error && error.name === "TimeoutError") return " in time";
  const cause = error instanceof Error ? (error.cause as { code?: string } | undefined) : undefined;
  return cause?.code ? ` (${cause.code})` : "";
}
