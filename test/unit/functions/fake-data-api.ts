import { createServer, type IncomingHttpHeaders, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";

export type Call = { path: string; headers: IncomingHttpHeaders; body: string };

/** What the fake does with a call: it may answer, cut the connection, or do nothing at all. */
export type Behaviour = (
  call: Call,
  response: ServerResponse,
  store: (call: Call) => string | string[],
) => void;

/**
 * Stands in for PostgREST on loopback. `stored` is its ledger of effects: the events a call really committed,
 * by id, whatever became of the answer.
 */
export type FakeDataApi = {
  url: string;
  calls: Call[];
  stored: Map<string, unknown>;
  behave(behaviour: Behaviour): void;
  close(): Promise<void>;
};

/** Answers as PostgREST does for a function that returns text, or an array of it for an array of events. */
export const answers: Behaviour = (call, response, store) => json(response, 200, store(call));

/** Answers with an error as PostgREST shapes it. */
export function failsWith(
  status: number,
  error: { code: string; message?: string; hint?: string; details?: string },
): Behaviour {
  return (_call, response) => json(response, status, { message: "", details: null, hint: null, ...error });
}

export async function startFakeDataApi(): Promise<FakeDataApi> {
  const calls: Call[] = [];
  const stored = new Map<string, unknown>();
  let behaviour = answers;

  const storeOne = (event: { id: string }): string => {
    if (stored.has(event.id)) return "duplicate";
    stored.set(event.id, event);
    return "processed";
  };
  const store = (call: Call): string | string[] => {
    const { event, events } = JSON.parse(call.body) as { event: { id: string }; events?: { id: string }[] };
    return events ? events.map(storeOne) : storeOne(event);
  };

  const server = createServer(async (request, response) => {
    const chunks: Buffer[] = [];
    for await (const chunk of request) chunks.push(chunk);
    const call = {
      path: `${request.method} ${request.url}`,
      headers: request.headers,
      body: Buffer.concat(chunks).toString("utf8"),
    };
    calls.push(call);
    behaviour(call, response, store);
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));

  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    calls,
    stored,
    behave(next) {
      behaviour = next;
    },
    close() {
      server.closeAllConnections();
      return new Promise((resolve) => {
        server.close(() => resolve());
      });
    },
  };
}

function json(response: ServerResponse, status: number, body: unknown): void {
  response.writeHead(status, { "content-type": "application/json" }).end(JSON.stringify(body));
}
