import { execFile } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, readdir, rm } from "node:fs/promises";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { afterEach, expect, onTestFinished, test, vi } from "vitest";
import { WebSocket } from "ws";
import type { Inbox } from "../../scripts/local/inbox/server.ts";
import { clockAt, dataOf, hour, mail, startHarness } from "./support/harness.ts";

interface Shown {
  id: string;
  subject: string;
  time: string;
  html?: string;
  text?: string;
  headers: Record<string, string>;
  from: { address: string; name: string }[];
  to: { address: string }[];
  cc?: { address: string }[];
  calculatedBcc: { address: string }[];
  attachments: { generatedFileName: string; contentType: string }[];
}

async function fetchJson<T>(url: string): Promise<T> {
  const response = await fetch(url);
  if (!response.ok) throw new Error(`${url}: ${response.status}`);
  return (await response.json()) as T;
}

afterEach(() => {
  vi.unstubAllEnvs();
});

/** What the page has, oldest first, each in full. */
async function shown(inbox: Inbox): Promise<Shown[]> {
  await inbox.settled();
  return fetchJson<Shown[]>(`${inbox.url}/api/email`);
}

test("an email is on the page, in HTML and in text, by the inbox's clock, with id and tags among its headers", async () => {
  const clock = clockAt("2027-05-04T06:00:00.000Z");
  const { inbox, resend } = await startHarness({ mailbox: true, now: clock.now });
  const { id } = dataOf(
    await resend.emails.send(
      mail({
        cc: "cy@example.com",
        bcc: "dan@example.com",
        subject: "Grüße aus der Buchhaltung: €49.00 für „Studio“",
        html: '<p style="color: red">Grüße &amp; <b>€49.00</b></p>',
        text: "Grüße & €49.00\n\nhttps://northlight.example/a?b=c&d=e",
        headers: { "X-Entity-Ref": "in_42" },
        tags: [
          { name: "kind", value: "receipt" },
          { name: "case_id", value: "42" },
        ],
      }),
    ),
  );
  const [email] = await shown(inbox);
  expect(email).toMatchObject({
    subject: "Grüße aus der Buchhaltung: €49.00 für „Studio“",
    time: "2027-05-04T06:00:00.000Z",
    from: [{ address: "billing@northlight.example", name: "Northlight" }],
    to: [{ address: "ada@example.com" }],
    cc: [{ address: "cy@example.com" }],
    calculatedBcc: [{ address: "dan@example.com" }],
  });
  expect(email?.text?.trim()).toBe("Grüße & €49.00\n\nhttps://northlight.example/a?b=c&d=e");
  const html = await (await fetch(`${inbox.url}/api/email/${email?.id}/html`)).text();
  expect(html).toContain('<p style="color: red">Grüße &amp; <b>€49.00</b></p>');
  expect(email?.headers).toMatchObject({
    "x-resend-email-id": id,
    "x-resend-created-at": "2027-05-04T06:00:00.000Z",
    "x-resend-tags": "kind=receipt; case_id=42",
    "x-entity-ref": "in_42",
  });
});

test("mails are on the page in the order they were sent, batches too, each once", async () => {
  const { inbox, resend } = await startHarness({ mailbox: true });
  const key = { idempotencyKey: "batch" };
  const batch = Array.from({ length: 20 }, (_, index) => mail({ subject: `Number ${index}` }));
  await resend.emails.send(mail({ subject: "Before" }));
  await resend.batch.send(batch, key);
  await resend.batch.send(batch, key);
  await resend.emails.send(mail({ subject: "After" }));
  const subjects = (await shown(inbox)).map(({ subject }) => subject);
  expect(subjects).toEqual(["Before", ...batch.map(({ subject }) => subject), "After"]);
});

test("what was held back is not on the page, what bounced is", async () => {
  const { inbox, resend } = await startHarness({ mailbox: true });
  for (const to of ["suppressed@resend.dev", "failed@example.com", "bounced@resend.dev"]) {
    await resend.emails.send(mail({ to }));
  }
  expect((await shown(inbox)).map(({ to }) => to[0]?.address)).toEqual(["bounced@resend.dev"]);
});

test("an attachment can be downloaded from the page", async () => {
  const { inbox, resend } = await startHarness({ mailbox: true });
  const content = Buffer.from("%PDF-1.7 example");
  await resend.emails.send({ ...mail(), attachments: [{ filename: "invoice.pdf", content }] });
  const [email] = await shown(inbox);
  const [attachment] = email?.attachments ?? [];
  expect(attachment?.contentType).toBe("application/pdf");
  const url = `${inbox.url}/api/email/${email?.id}/attachment/${attachment?.generatedFileName}`;
  expect(await (await fetch(url)).text()).toBe("%PDF-1.7 example");
});

test("an attachment that is named by its address is fetched, and is on the page", async () => {
  const { inbox, resend } = await startHarness({ mailbox: true });
  const server = createServer((request, response) => {
    response.writeHead(request.url === "/invoice/pdf" ? 200 : 404).end("%PDF-1.7 from there");
  }).listen(0, "127.0.0.1");
  await once(server, "listening");
  onTestFinished(() => void server.close());
  const { port } = server.address() as AddressInfo;
  const carrying = (path: string) => ({
    ...mail(),
    attachments: [{ filename: "EX-1.pdf", path: `http://127.0.0.1:${port}${path}` }],
  });
  dataOf(await resend.emails.send(carrying("/invoice/pdf")));
  expect((await resend.emails.send(carrying("/expired"))).error).toMatchObject({
    statusCode: 422,
    name: "invalid_attachment",
    message: expect.stringContaining("404"),
  });
  const [email, ...others] = await shown(inbox);
  expect(others).toEqual([]);
  const url = `${inbox.url}/api/email/${email?.id}/attachment/${email?.attachments[0]?.generatedFileName}`;
  expect(await (await fetch(url)).text()).toBe("%PDF-1.7 from there");
});

test("the page is served from the machine's own files, beside the API on one port", async () => {
  const { inbox, resend } = await startHarness({ mailbox: true });
  const page = await fetch(inbox.url, { headers: { accept: "text/html" } });
  const html = await page.text();
  expect(page.status).toBe(200);
  const assets = [...html.matchAll(/(?:src|href)="(\.\/assets\/[^"]+)"/g)].map((match) => match[1] ?? "");
  expect(assets.length).toBeGreaterThan(0);
  for (const asset of assets) expect((await fetch(new URL(asset, inbox.url))).status).toBe(200);
  expect(html).not.toMatch(/(?:src|href)="(?:https?:)?\/\//);
  dataOf(await resend.emails.send(mail()));
});

test("no other web page in the browser may read the mails", async () => {
  const { inbox } = await startHarness({ mailbox: true });
  const from = (origin: string) => fetch(`${inbox.url}/api/email`, { headers: { origin } });
  for (const origin of ["https://evil.example", "http://127.0.0.1:1", "null"]) {
    const response = await from(origin);
    expect(response.status).toBe(403);
    expect(response.headers.get("access-control-allow-origin")).toBeNull();
  }
  expect((await from(inbox.url)).status).toBe(200);
  const listening = async (origin: string): Promise<boolean> => {
    const socket = new WebSocket(`ws://127.0.0.1:${inbox.port}/socket.io/?EIO=4&transport=websocket`, {
      origin,
    });
    const opened = await Promise.race([
      once(socket, "open").then(() => true),
      once(socket, "error").then(() => false),
    ]).catch(() => false);
    socket.terminate();
    return opened;
  };
  expect(await listening(inbox.url)).toBe(true);
  expect(await listening("https://evil.example")).toBe(false);
});

test("after a restart the page shows the mails of before, and not those that never left", async () => {
  const stateFile = join(tmpdir(), `duebase-inbox-${process.pid}-${Date.now()}.jsonl`);
  onTestFinished(() => rm(stateFile, { force: true }));
  const clock = clockAt();
  const first = await startHarness({ stateFile, now: clock.now });
  await first.resend.emails.send(mail({ subject: "One" }));
  clock.advance(hour);
  await first.resend.emails.send(mail({ subject: "Two", to: "suppressed@resend.dev" }));
  await first.resend.emails.send(mail({ subject: "Three" }));
  await first.inbox.close();
  const second = await startHarness({ stateFile, mailbox: true });
  const mails = await shown(second.inbox);
  expect(mails.map(({ subject, time }) => [subject, time])).toEqual([
    ["One", "2026-03-01T09:00:00.000Z"],
    ["Three", "2026-03-01T10:00:00.000Z"],
  ]);
});

test("an inbox without a page says so", async () => {
  const { inbox } = await startHarness();
  expect((await fetch(inbox.url)).status).toBe(404);
});

test("closing in the middle of a burst leaves no port and no file behind", async () => {
  const directory = await mkdtemp(join(tmpdir(), "duebase-inbox-test-"));
  onTestFinished(() => rm(directory, { recursive: true }));
  vi.stubEnv("TMPDIR", directory);
  const { inbox, resend } = await startHarness({ mailbox: true });
  await resend.batch.send(Array.from({ length: 100 }, () => mail()));
  await expect.poll(() => fetchJson<Shown[]>(`${inbox.url}/api/email`), { timeout: 20_000 }).not.toEqual([]);
  expect(await readdir(directory)).toHaveLength(1);
  await inbox.close();
  await expect(fetch(inbox.url)).rejects.toThrow();
  expect(await readdir(directory)).toEqual([]);
});

test("a process that closes its inbox ends by itself, having said nothing", async () => {
  const script = fileURLToPath(new URL("support/one-mail.ts", import.meta.url));
  const { stdout, stderr } = await promisify(execFile)(process.execPath, ["--import", "tsx", script], {
    timeout: 50_000,
  });
  expect([stdout, stderr]).toEqual(["1 mail\n", ""]);
});
