import { createServer, type RequestListener, type Server } from "node:http";
import type { AddressInfo } from "node:net";

/** A port that is listened on. */
export interface OpenPort {
  port: number;
  /** Stops listening and cuts the connections that are left. */
  close(): Promise<void>;
}

/** An HTTP server on 127.0.0.1. */
export interface Listening extends OpenPort {
  url: string;
  /** From now on answers requests with `handler`; until the first call they are told to come again. */
  serve(handler: RequestListener): void;
}

const starting: RequestListener = (_request, response) => {
  response.writeHead(503, { "content-type": "application/json", "retry-after": "1" });
  response.end(JSON.stringify({ message: "the local stack is starting" }));
};

/** Takes port `preferred`, or a free one when that is taken. */
export async function listen(preferred: number): Promise<Listening> {
  let current = starting;
  const server = createServer((request, response) => current(request, response));
  const opened = await openPort(server, preferred).catch((error: NodeJS.ErrnoException) => {
    if (error.code !== "EADDRINUSE" && error.code !== "EACCES") throw error;
    return openPort(server, 0);
  });
  return {
    ...opened,
    url: `http://127.0.0.1:${opened.port}`,
    serve(handler) {
      current = handler;
    },
  };
}

/**
 * Has a server listen.
 *
 * @param port 0 takes a free one
 * @throws if the port is taken
 */
export function openPort(server: Server, port: number, hostname = "127.0.0.1"): Promise<OpenPort> {
  return new Promise((resolve, reject) => {
    server.once("error", reject);
    server.listen(port, hostname, () => {
      server.off("error", reject);
      resolve({ port: (server.address() as AddressInfo).port, close: () => close(server) });
    });
  });
}

function close(server: Server): Promise<void> {
  return new Promise((resolve) => {
    server.close(() => resolve());
    server.closeAllConnections();
  });
}
