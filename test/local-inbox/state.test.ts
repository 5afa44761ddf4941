import { appendFile, mkdir, mkdtemp, readFile, rm, stat, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { expect, onTestFinished, test } from "vitest";
import { clockAt, dataOf, hour, mail, startHarness } from "./support/harness.ts";

async function freshFile(): Promise<string> {
  const directory = await mkdtemp(join(tmpdir(), "duebase-inbox-state-"));
  onTestFinished(() => rm(directory, { recursive: true, force: true }));
  return join(directory, "stack", "inbox.jsonl");
}

const key = { idempotencyKey: "receipt/in_42" };

test("emails, what became of them, keys and suppressions outlive a restart", async () => {
  const stateFile = await freshFile();
  const clock = clockAt();
  const first = await startHarness({ stateFile, now: clock.now });
  const { id } = dataOf(await first.resend.emails.send(mail(), key));
  const other = dataOf(await first.resend.emails.send(mail({ to: "bo@example.com" })));
  first.inbox.report(other.id, "email.complained");
  // No close: what is told to the caller is on disk before that.

  const second = await startHarness({ stateFile, now: clock.now });
  expect(second.inbox.emails()).toEqual(first.inbox.emails());
  expect(dataOf(await second.resend.emails.send(mail(), key))).toEqual({ id });
  const clash = await second.resend.emails.send(mail({ text: "Other" }), key);
  expect(clash.error?.name).toBe("invalid_idempotent_request");
  expect(second.inbox.ledger.mails).toEqual([]);
  expect(second.inbox.suppressions.all()).toEqual(first.inbox.suppressions.all());

  clock.advance(24 * hour);
  const third = await startHarness({ stateFile, now: clock.now });
  expect(dataOf(await third.resend.emails.send(mail(), key))).not.toEqual({ id });
});

test("an address that was let in again stays so after a restart", async () => {
  const stateFile = await freshFile();
  const first = await startHarness({ stateFile });
  await first.resend.suppressions.add({ email: "ada@example.com" });
  await first.resend.suppressions.remove("ada@example.com");
  const second = await startHarness({ stateFile });
  expect(second.inbox.suppressions.all()).toEqual([]);
});

test("a line that a kill cut short is left out, and the rest is kept", async () => {
  const stateFile = await freshFile();
  const first = await startHarness({ stateFile });
  const { id } = dataOf(await first.resend.emails.send(mail()));
  await first.inbox.close();
  await appendFile(stateFile, '{"email":{"shown":{"id":"cut');
  const second = await startHarness({ stateFile });
  expect(second.inbox.emails().map((email) => email.id)).toEqual([id]);
  dataOf(await second.resend.emails.send(mail()));
  const third = await startHarness({ stateFile });
  expect(third.inbox.emails()).toHaveLength(2);
});

test("the file keeps the newest 500 emails", async () => {
  const stateFile = await freshFile();
  const { resend } = await startHarness({ stateFile });
  for (let batch = 0; batch < 6; batch += 1) {
    await resend.batch.send(
      Array.from({ length: 100 }, (_, index) => mail({ subject: `${batch}-${index}` })),
    );
  }
  const before = (await stat(stateFile)).size;
  const { inbox } = await startHarness({ stateFile });
  expect(inbox.emails()).toHaveLength(500);
  expect(inbox.emails()[0]?.subject).toBe("1-0");
  expect((await stat(stateFile)).size).toBeLessThan(before);
});

test("a file that is not the inbox's is left alone, and the start says what to do", async () => {
  const stateFile = await freshFile();
  await mkdir(dirname(stateFile));
  await writeFile(stateFile, "my notes\n");
  await expect(startHarness({ stateFile })).rejects.toThrow("delete it to start afresh");
  expect(await readFile(stateFile, "utf8")).toBe("my notes\n");
});
