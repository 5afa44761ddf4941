import { createServer, type IncomingMessage, type RequestListener, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import type { Duplex } from "node:stream";

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
  /** Hands on connections that ask to be a WebSocket, which without it are cut. */
  serveSockets(upgrade: (request: IncomingMessage, socket: Duplex, head: Buffer) => void): void;
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
    serveSockets(upgrade) {
      server.on("upgrade", upgrade);
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

/** Where a server is reached. What listens everywhere is reached here; an address of IPv6 stands in brackets. */
export function originOf(hostname: string, port: number): string {
  if (hostname === "0.0.0.0") return `http://127.0.0.1:${port}`;
  return `http://${hostname.includes(":") ? `[${hostname}]` : hostname}:${port}`;
}

function close(server: Server): Promise<void> {
  return new Promise((resolve) => {
    server.close(() => resolve());
    server.closeAllConnections();
  });
}
