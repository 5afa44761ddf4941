import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { Resend } from "resend";
import { afterAll, beforeAll, expect, test } from "vitest";
import { type PackedLocal, packLocal } from "../support/packed-local.ts";
import { eventually } from "../support/stack-project.ts";
import { dataOf, mail, startEndpoint, webhookSecret } from "./support/harness.ts";

// The package `duebase-local-inbox` as `npm pack` makes it, installed in a folder outside of this repository.

let packed: PackedLocal;

beforeAll(async () => {
  packed = await packLocal("inbox");
}, 240_000);
afterAll(() => packed?.remove());

test("its command takes a mail, shows it, and signs what became of it", async () => {
  const endpoint = await startEndpoint();
  const told = ["--webhook-url", endpoint.url, "--webhook-secret", webhookSecret];
  const command = await packed.start("--port", "0", ...told);
  const apiUrl = `${command.url}/resend`;
  expect(command.said).toContain(`RESEND_BASE_URL=${apiUrl}`);

  const resend = new Resend("re_example", { baseUrl: apiUrl });
  const subject = "Your payment went through";
  const { id } = dataOf(await resend.emails.send(mail({ subject })));
  const found = dataOf(await resend.emails.get(id));
  expect([found.subject, found.to]).toEqual([subject, [mail().to].flat()]);
  await eventually("it is told of", () => endpoint.types().includes("email.delivered"));
  expect(endpoint.refused).toEqual([]);
  const page = await fetch(command.url, { headers: { accept: "text/html" } });
  expect(await page.text()).toContain("<html");
  const shown = await eventually("it is on the page", async () => {
    const answer = await (await fetch(`${command.url}/api/email`)).text();
    return answer.includes(subject);
  });
  expect(shown).toBe(true);
  expect(await command.stop("SIGINT")).toBe(0);
}, 60_000);

test("a state file outlives the command, and one that is another's is left as it is", async () => {
  const at = ["--port", "0", "--state-file", "state/inbox.jsonl"];
  const first = await packed.start(...at);
  const { id } = dataOf(
    await new Resend("re_example", { baseUrl: `${first.url}/resend` }).emails.send(mail()),
  );
  expect(await first.stop("SIGTERM")).toBe(0);
  const second = await packed.start(...at);
  const found = dataOf(await new Resend("re_example", { baseUrl: `${second.url}/resend` }).emails.get(id));
  expect(found.id).toBe(id);
  expect(await second.stop()).toBe(0);

  for (const theirs of ['{"name":"theirs"}\n', '{"name":"theirs"}', "something else\n"]) {
    const file = join(packed.folder, "theirs.jsonl");
    await writeFile(file, theirs);
    const { code, err } = await packed.run("--port", "0", "--state-file", file);
    expect(err).toBe(
      `duebase-local-inbox: ${file} is no journal of the local inbox: delete it to start afresh\n`,
    );
    expect(code).toBe(1);
    expect(await readFile(file, "utf8")).toBe(theirs);
  }
});

test("what it cannot start with is said in one line", async () => {
  const url = ["--webhook-url", "http://127.0.0.1:9/hook"];
  const bad = await packed.run("--port", "0", ...url, "--webhook-secret", "whsec_no base64");
  expect([bad.code, bad.err]).toEqual([
    1,
    "duebase-local-inbox: a webhook secret is `whsec_` and base64, as Resend shows it\n",
  ]);
  const key = await packed.run("--api-key", "sk_test_example");
  expect([key.code, key.err]).toEqual([2, expect.stringContaining("A key of Resend begins with re_.")]);
  const below = await packed.run("--port", "0", "--state-file", "package.json/inbox.jsonl");
  expect([below.code, below.err]).toEqual([
    1,
    expect.stringMatching(/^.*the state file cannot be written: .*\n$/),
  ]);
});

test("a script uses what it exports, with its types", async () => {
  const source = `
    import { Resend } from "resend";
    import { type Inbox, type SentMail, startInbox } from "duebase-local-inbox";

    const inbox: Inbox = await startInbox({ port: 0, mailbox: false });
    const resend = new Resend("re_example", { baseUrl: inbox.apiUrl });
    const send = () => resend.emails.send({ from: "a@example.com", to: "ada@example.com", subject: "Hello", text: "Hi" });
    inbox.faults.add({ action: { kind: "error", status: 500 }, match: { path: "/emails" } });
    const refused = await send();
    const { data } = await send();
    const mails: SentMail[] = inbox.ledger.mailsWhere({ to: "ada@example.com" });
    if (data) inbox.report(data.id, "email.bounced");
    // @ts-expect-error there is no such event
    () => inbox.report("", "email.forgotten");
    await inbox.settled();
    console.log(refused.error?.statusCode, mails.length, inbox.emails()[0]?.last_event);
    await inbox.close();
  `;
  await writeFile(join(packed.folder, "use.ts"), source);
  expect(await packed.compile("use.ts")).toBe("");
  const script = source
    .replace("type Inbox, type SentMail, ", "")
    .replace(/const (\w+): [\w<>[\]]+ =/g, "const $1 =");
  await writeFile(join(packed.folder, "use.js"), script);
  const { out, err } = await packed.runModule("use.js");
  expect([out, err]).toEqual(["500 1 bounced\n", ""]);
});

test("what its README tells is so: the example, and the options", async () => {
  const { printed, told } = await packed.runExample();
  expect(told).toHaveLength(2);
  expect(printed).toEqual(told);
  const options = await packed.options();
  expect(options.told).toContain("--state-file");
  expect(options.helped).toEqual(options.told);
});
