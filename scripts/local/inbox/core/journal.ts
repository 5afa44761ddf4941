import { appendFileSync, existsSync, mkdirSync, readFileSync, renameSync, writeFileSync } from "node:fs";
import { dirname } from "node:path";
import type { Suppression } from "resend";
import type { KeptAnswer } from "../http/idempotency.ts";
import type { WebhookEndpoint } from "../webhooks/endpoints.ts";
import type { StoredEmail } from "./email.ts";

/** What is remembered across restarts. */
export interface InboxState {
  /** In the order they were accepted. */
  emails: StoredEmail[];
  answers: KeptAnswer[];
  suppressions: Suppression[];
  /** Those made through the API. */
  webhooks: WebhookEndpoint[];
}

/** One change, as a line of the file. */
export type Entry =
  | { email: StoredEmail }
  | { id: string; lastEvent: StoredEmail["shown"]["last_event"] }
  | { answer: KeptAnswer }
  | { suppressions: Suppression[] }
  | { webhooks: WebhookEndpoint[] };

/** How many emails, and how many answers, the file keeps when it is opened: the newest ones. */
const kept = 500;

function replay(lines: string[]): InboxState {
  const emails = new Map<string, StoredEmail>();
  const answers = new Map<string, KeptAnswer>();
  let suppressions: Suppression[] = [];
  let webhooks: WebhookEndpoint[] = [];
  for (const line of lines) {
    const entry = JSON.parse(line) as Entry;
    if ("email" in entry) emails.set(entry.email.shown.id, entry.email);
    else if ("answer" in entry) answers.set(entry.answer.key, entry.answer);
    else if ("suppressions" in entry) suppressions = entry.suppressions;
    else if ("webhooks" in entry) webhooks = entry.webhooks;
    else if ("lastEvent" in entry) {
      const email = emails.get(entry.id);
      if (email) email.shown.last_event = entry.lastEvent;
    } else throw new Error("a line says nothing that an inbox writes");
  }
  const newest = <T>(values: Map<string, T>): T[] => [...values.values()].slice(-kept);
  return { emails: newest(emails), answers: newest(answers), suppressions, webhooks };
}

/**
 * The lines that were written whole: the last one may have been cut short by a kill.
 *
 * @throws if there is some text and no whole line: the first lines of a file of ours are written at once
 */
function wholeLines(file: string): string[] {
  const text = readFileSync(file, "utf8");
  const lines = text.split("\n").slice(0, -1);
  if (text !== "" && lines.length === 0) throw new Error("it has no whole line");
  return lines;
}

/**
 * Writes each change to one file before anybody is told of it, so that a stack that was killed knows which mails it
 * has sent.
 */
export class Journal {
  private readonly file: string;

  constructor(file: string) {
    this.file = file;
  }

  /**
   * What was written before, and a file with no more in it than that.
   *
   * @throws if the file cannot be read or written, or is not one of ours
   */
  open(): InboxState {
    const state = this.read();
    try {
      this.rewrite(state);
    } catch (cause) {
      throw new Error(`the state file cannot be written: ${String(cause)}`, { cause });
    }
    return state;
  }

  private read(): InboxState {
    if (!existsSync(this.file)) return { emails: [], answers: [], suppressions: [], webhooks: [] };
    try {
      return replay(wholeLines(this.file));
    } catch (cause) {
      if ((cause as NodeJS.ErrnoException).syscall !== undefined)
        throw new Error(`the state file cannot be read: ${String(cause)}`, { cause });
      throw new Error(`${this.file} is no journal of the local inbox: delete it to start afresh`, { cause });
    }
  }

  /** Whole or not at all. */
  private rewrite(state: InboxState): void {
    mkdirSync(dirname(this.file), { recursive: true });
    const temporary = `${this.file}.writing`;
    const entries: Entry[] = [
      ...state.emails.map((email) => ({ email })),
      ...state.answers.map((answer) => ({ answer })),
      { suppressions: state.suppressions },
      { webhooks: state.webhooks },
    ];
    writeFileSync(temporary, entries.map((entry) => `${JSON.stringify(entry)}\n`).join(""), { mode: 0o600 });
    renameSync(temporary, this.file);
  }

  write(entry: Entry): void {
    appendFileSync(this.file, `${JSON.stringify(entry)}\n`, { mode: 0o600 });
  }
}
