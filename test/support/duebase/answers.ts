import { Writable } from "node:stream";
import { Refusal, Terminal } from "../../../scripts/duebase/terminal.ts";

/** What a command answers as JSON; its refusal, where it refuses. Nobody is there to be asked. */
export async function answerOf(
  command: (terminal: Terminal) => Promise<void>,
  { yes = false } = {},
): Promise<Record<string, unknown>> {
  let text = "";
  const out = new Writable({
    write(chunk, _encoding, done) {
      text += String(chunk);
      done();
    },
  });
  const terminal = new Terminal({ json: true, yes, isInteractive: false, out, err: out });
  try {
    await command(terminal);
  } catch (error) {
    if (!(error instanceof Refusal)) throw error;
    terminal.refuse(error);
  }
  return JSON.parse(text) as Record<string, unknown>;
}
