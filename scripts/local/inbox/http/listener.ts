import { createServer, type IncomingMessage, type RequestListener, type ServerResponse } from "node:http";
import type { Duplex } from "node:stream";
import { type OpenPort, openPort } from "../../listen.ts";

/** A part of the inbox that answers HTTP requests and takes WebSocket connections. */
export interface Site {
  handle(request: IncomingMessage, response: ServerResponse): void;
  upgrade(request: IncomingMessage, socket: Duplex, head: Buffer): void;
}

function isUnder(prefix: string, url = "/"): boolean {
  return url === prefix || url.startsWith(`${prefix}/`) || url.startsWith(`${prefix}?`);
}

/** Whether a browser sends this on behalf of another page: mails are nobody's business but this page's. */
function isFromElsewhere({ headers }: IncomingMessage): boolean {
  if (headers.origin === undefined || headers.origin === "null") return headers.origin !== undefined;
  return !URL.canParse(headers.origin) || new URL(headers.origin).host !== headers.host;
}

/**
 * Serves the API under its prefix and the mailbox page everywhere else, on one port.
 *
 * @throws if the port is taken
 */
export async function listen(
  options: { port: number; hostname: string; apiPath: string },
  api: RequestListener,
  site: Site,
): Promise<OpenPort> {
  const server = createServer((request, response) => {
    if (isUnder(options.apiPath, request.url)) api(request, response);
    else if (isFromElsewhere(request)) response.writeHead(403).end();
    else site.handle(request, response);
  });
  server.on("upgrade", (request, socket, head) => {
    if (isFromElsewhere(request)) socket.destroy();
    else site.upgrade(request, socket, head);
  });
  return openPort(server, options.port, options.hostname);
}
