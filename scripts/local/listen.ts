import { createServer, type RequestListener, type Server } from "node:http";
import type { AddressInfo } from "node:net";

/** An HTTP server on 127.0.0.1. */
export interface Listening {
  port: number;
  url: string;
  /** Stops listening and cuts the connections that are left. */
  close(): Promise<void>;
}

/** Serves on `preferred`, or on a free port when that one is taken. */
export async function listen(handler: RequestListener, preferred: number): Promise<Listening> {
  const server = createServer(handler);
  await bind(server, preferred).catch((error: NodeJS.ErrnoException) => {
    if (error.code !== "EADDRINUSE" && error.code !== "EACCES") throw error;
    return bind(server, 0);
  });
  const { port } = server.address() as AddressInfo;
  return {
    port,
    url: `http://127.0.0.1:${port}`,
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
