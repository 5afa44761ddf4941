import { Writable } from "node:stream";
import { stripVTControlCharacters } from "node:util";
import { describe, expect, test } from "vitest";
import {
  Refusal,
  StoppedByPerson,
  Terminal,
  type TerminalOptions,
} from "../../../scripts/duebase/terminal.ts";

/** A terminal whose output is kept. */
function recorded(options: TerminalOptions) {
  const written = { out: "", err: "" };
  const into = (name: "out" | "err") =>
    new Writable({
      write(chunk, _encoding, done) {
        written[name] += stripVTControlCharacters(String(chunk));
        done();
      },
    });
  return { written, terminal: new Terminal({ out: into("out"), err: into("err"), ...options }) };
}

describe("with --json", () => {
  test("stdout is one JSON value, whatever was said for people", () => {
    const { terminal, written } = recorded({ json: true });
    terminal.say("looking");
    terminal.warn("a warning");
    terminal.answer({ amount: 5n }, "five");
    expect(JSON.parse(written.out)).toEqual({ amount: 5 });
    expect(written.err).toContain("a warning");
  });

  test("a refusal is JSON too, with its cure", () => {
    const { terminal, written } = recorded({ json: true });
    terminal.refuse(new Refusal("schema billing is taken", "rename it"));
    expect(JSON.parse(written.out)).toEqual({
      error: { name: "Refusal", message: "schema billing is taken", cure: "rename it" },
    });
  });
});

test("people read a refusal and its cure on stderr, without a stack trace", () => {
  const { terminal, written } = recorded({});
  terminal.refuse(new Refusal("schema billing is taken", "rename it"));
  expect(written).toEqual({ out: "", err: "schema billing is taken\nrename it\n" });
});

test("what is no refusal is printed whole, as a fault of ours", () => {
  const { terminal, written } = recorded({});
  terminal.refuse(new TypeError("x is undefined"));
  expect(written.err).toMatch(/x is undefined\n +at .*\nThis is a fault of duebase\./s);
});

describe("a question before what cannot be undone", () => {
  test("is answered by --yes", async () => {
    await recorded({ yes: true, isInteractive: false }).terminal.confirm("Remove everything?");
  });

  test("is refused where nobody can be asked, and says what to do", async () => {
    for (const options of [{ isInteractive: false }, { isInteractive: true, json: true }]) {
      const asked = recorded(options).terminal.confirm("Remove everything?");
      await expect(asked).rejects.toThrow("Nobody is here to answer: Remove everything?");
      await expect(asked).rejects.toMatchObject({ cure: expect.stringContaining("--yes") });
      await expect(asked).rejects.not.toBeInstanceOf(StoppedByPerson);
    }
  });
});
