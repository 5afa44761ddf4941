import { setTimeout as delay } from "node:timers/promises";
import type { HttpBindings } from "@hono/node-server";
import type { Context } from "hono";

/** Hono on Node: a request's connection is at hand. */
export type Env = { Bindings: HttpBindings };

/** The idempotency key a request came under; only a POST has one. */
export function idempotencyKeyOf({ req }: Context): string | null {
  return req.method === "POST" ? (req.header("idempotency-key") ?? null) : null;
}

/** Cut the connection: the caller gets no answer. */
export function cut(context: Context<Env>): Response {
  context.env.incoming.socket.destroy();
  return new Response(null, { status: 499 });
}

/** No answer, until the caller has left or the server closes. */
export async function hang(context: Context<Env>, closing: AbortSignal): Promise<Response> {
  const { socket } = context.env.incoming;
  const left = new Promise<void>((resolve) => {
    if (socket.destroyed) resolve();
    else socket.once("close", () => resolve());
  });
  await Promise.race([left, closed(closing)]);
  return cut(context);
}

/** Wait, but no longer than until the server closes: a timer that is left would keep the process alive. */
export async function pause(milliseconds: number, closing: AbortSignal): Promise<void> {
  await delay(milliseconds, undefined, { signal: closing }).catch(() => {});
}

/** Resolves when the server closes. */
export function closed(closing: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (closing.aborted) resolve();
    else closing.addEventListener("abort", () => resolve(), { once: true });
  });
}
