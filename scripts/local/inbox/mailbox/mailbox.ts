import type { IncomingMessage, ServerResponse } from "node:http";
import type { Duplex } from "node:stream";
import type { StoredEmail } from "../core/email.ts";
import type { Site } from "../http/listener.ts";
import { messageOf } from "./message.ts";
import type { Page } from "./page.ts";

/**
 * The page that shows mails, and the line of those that wait to be shown. It can be written to and asked for before
 * the page is open: loading maildev takes a second, and nobody who only sends mail should wait for it.
 */
export class Mailbox implements Site {
  private readonly page: Promise<Page>;
  private readonly log: (line: string) => void;
  private line: Promise<void> = Promise.resolve();
  private closed = false;

  constructor(page: Promise<Page>, log: (line: string) => void) {
    this.page = page;
    this.log = log;
    page.catch((error: unknown) => log(`the mailbox page did not open: ${String(error)}`));
  }

  handle(request: IncomingMessage, response: ServerResponse): void {
    this.page.then(
      (page) => page.handle(request, response),
      (error: unknown) => response.writeHead(500, { "content-type": "text/plain" }).end(`${String(error)}\n`),
    );
  }

  upgrade(request: IncomingMessage, socket: Duplex, head: Buffer): void {
    this.page.then(
      (page) => page.upgrade(request, socket, head),
      () => socket.destroy(),
    );
  }

  /** Put a mail behind those that wait: the page has them in the order in which they were sent. */
  show(email: StoredEmail): void {
    this.line = this.line.then(() => this.deliver(email));
  }

  private async deliver(email: StoredEmail): Promise<void> {
    if (this.closed) return;
    try {
      await (await this.page).deliver(messageOf(email));
    } catch (error) {
      if (!this.closed) this.log(`the mailbox page does not show ${email.shown.id}: ${String(error)}`);
    }
  }

  /**
   * Resolves when every mail is on the page.
   *
   * @throws if the page did not open
   */
  async settled(): Promise<void> {
    await this.page;
    await this.line;
  }

  /** Stop; mails that still wait are not shown. */
  async close(): Promise<void> {
    this.closed = true;
    const page = await this.page.catch(() => undefined);
    await page?.close();
    await this.line;
  }
}

/** Stands where the page would be when there is none. */
export const noPage: Page = {
  handle: (_request, response) =>
    response.writeHead(404, { "content-type": "text/plain" }).end("This inbox has no page.\n"),
  upgrade: (_request, socket) => socket.destroy(),
  deliver: async () => {},
  close: async () => {},
};
