import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { SendMailOptions } from "nodemailer";
import type { Site } from "../http/listener.ts";

/** maildev, running in this process. */
export interface Page extends Site {
  /** Hand over a message; resolves when the page has it. */
  deliver(message: SendMailOptions): Promise<void>;
  close(): Promise<void>;
}

/** The page keeps this many mails, the newest ones. */
const keptMails = 500;
const loopback = "127.0.0.1";

/**
 * maildev's page, taken in parts: its storage, its SMTP server on a free loopback port, its page and the API behind
 * it. The `maildev` command that puts them together would bind a port of its own, greet on the console, and let
 * every web page in the browser read the mails. Loaded here and not above, because that takes a second.
 */
export async function openPage(): Promise<Page> {
  const [{ MemoryStorage }, { createSMTPServer }, { createAPIServer }, { registerUI }, { createTransport }] =
    await Promise.all([
      import("@maildev/core"),
      import("@maildev/smtp"),
      import("@maildev/api"),
      import("@maildev/ui/server"),
      import("nodemailer"),
    ]);
  // Raw messages and attachments only: the state file has everything that is to last.
  const mailDir = await mkdtemp(join(tmpdir(), "duebase-inbox-"));
  const storage = new MemoryStorage({ maxEmails: keptMails });
  const smtp = createSMTPServer({ port: 0, host: loopback, storage, mailDir, logger: false });
  await smtp.start();
  const api = createAPIServer({ storage, smtp, cors: { origin: false, credentials: false } });
  await api.registerPlugins();
  await registerUI(api.server);
  await api.server.ready();
  const transport = createTransport({
    host: loopback,
    port: smtp.getPort(),
    ignoreTLS: true,
    pool: true,
    maxConnections: 1,
    maxMessages: Number.POSITIVE_INFINITY,
  });
  // maildev answers on a server that never listens: the inbox's own hands it what is meant for the page.
  const { server } = api.server;
  return {
    handle: (request, response) => server.emit("request", request, response),
    upgrade: (request, socket, head) => server.emit("upgrade", request, socket, head),
    async deliver(message) {
      await transport.sendMail(message);
    },
    async close() {
      transport.close();
      await api.stop();
      await smtp.stop();
      await storage.close();
      await rm(mailDir, { recursive: true, force: true });
    },
  };
}
