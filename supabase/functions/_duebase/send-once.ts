/** Deno's way to a connection of its own. Node has none, and not every runtime built on Deno has it. */
type HttpClient = { close(): void };
type MakesClients = { createHttpClient?: (options: { poolMaxIdlePerHost: number }) => HttpClient };

/**
 * `fetch`, but a request is sent once at most, for what carries no idempotency key. Deno sends a request a second
 * time by itself, a POST too, when the connection it had kept from an earlier one breaks, whether or not the first
 * was read (seen with Deno 2.9); one on a connection of its own it does not. So each request gets its own: a client
 * that shares none, and `connection: close` for runtimes without such clients.
 */
export const sendOnce: typeof fetch = async (input, init) => {
  const client = connectAnew();
  try {
    const headers = new Headers(init?.headers);
    headers.set("connection", "close");
    const response = await fetch(input, { ...init, headers, ...(client ? { client } : {}) } as RequestInit);
    // Read here, as it cannot be once the client is closed. A redirect's or an empty answer has no body.
    const body = response.body === null ? null : await response.arrayBuffer();
    return new Response(body, {
      status: response.status,
      statusText: response.statusText,
      headers: response.headers,
    });
  } finally {
    client?.close();
  }
};

function connectAnew(): HttpClient | undefined {
  const { Deno: deno } = globalThis as { Deno?: MakesClients };
  try {
    return deno?.createHttpClient?.({ poolMaxIdlePerHost: 0 });
  } catch {
    // A runtime that has the name and not the thing: `connection: close` has to do.
    return undefined;
  }
}
