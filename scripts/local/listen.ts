import { createServer, type RequestListener, type Server } from "node:http";
import type { AddressInfo } from "node:net";

/** An HTTP server on 127.0.0.1. */
export interface Listening {
  port: number;
  url: string;
  /** From now on answers requests with `handler`; until the first call they are told to come again. */
  serve(handler: RequestListener): void;
  /** Stops listening and cuts the connections that are left. */
  close(): Promise<void>;
}

const starting: RequestListener = (_request, response) => {
  response.writeHead(503, { "content-type": "application/json", "retry-after": "1" });
  response.end(JSON.stringify({ message: "the local stack is starting" }));
};

/** Takes port `preferred`, or a free one when that is taken. */
export async function listen(preferred: number): Promise<Listening> {
  let current = starting;
  const server = createServer((request, response) => current(request, response));
  await bind(server, preferred).catch((error: NodeJS.ErrnoException) => {
    if (error.code !== "EADDRINUSE" && error.code !== "EACCES") throw error;
    return bind(server, 0);
  });
  const { port } = server.address() as AddressInfo;
  return {
    port,
    url: `http://127.0.0.1:${port}`,
    serve(handler) {
      current = handler;
    },
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}

function bind(server: Server, port: number): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once("error", reject);
    server.listen(port, "127.0.0.1", () => {
      server.off("error", reject);
      resolve();
    });
  });
}
