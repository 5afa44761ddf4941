import type { Writable } from "node:stream";
import { password as askForSecret, input as askForText, confirm as askToConfirm } from "@inquirer/prompts";
import { Listr, type ListrTask } from "listr2";
import pc from "picocolors";

/** What the process ends with. */
export const ExitCode = {
  done: 0,
  /** Something was in the way, or is not right. Nothing was changed unless the output says so. */
  refused: 1,
  /** The command was written wrongly. */
  usage: 2,
  /** Ctrl-C, or an answer of no. */
  stopped: 130,
} as const;
export type ExitCode = (typeof ExitCode)[keyof typeof ExitCode];

/** Something a person has to put right before the command can do its work. */
export class Refusal extends Error {
  override readonly name: string = "Refusal";
  /** What to do about it. */
  readonly cure: string;

  /**
   * @param message what is wrong, with the value that is; never a secret
   * @param cure what to do
   */
  constructor(message: string, cure: string, options?: ErrorOptions) {
    super(message, options);
    this.cure = cure;
  }
}

/** The person said no, or pressed Ctrl-C. */
export class StoppedByPerson extends Refusal {
  override readonly name = "StoppedByPerson";

  constructor() {
    super("Stopped.", "Nothing more was done. Run the command again when you want to go on.");
  }
}

/** Where a command reads and writes, and how. */
export interface TerminalOptions {
  /** One JSON value on stdout and nothing else. */
  json?: boolean;
  /** Every question has been answered with yes beforehand. */
  yes?: boolean;
  out?: Writable;
  err?: Writable;
  /** Whether somebody is there to be asked. By default: whether stdin and stdout are a terminal. */
  isInteractive?: boolean;
}

/**
 * A command's output, in one of two forms: for people, or one JSON value for programs. A command writes people's text
 * with `say`, and its result with `answer`, once.
 */
export class Terminal {
  readonly json: boolean;
  readonly yes: boolean;
  readonly isInteractive: boolean;
  readonly #out: Writable;
  readonly #err: Writable;

  constructor(options: TerminalOptions = {}) {
    this.json = options.json ?? false;
    this.yes = options.yes ?? false;
    this.#out = options.out ?? process.stdout;
    this.#err = options.err ?? process.stderr;
    this.isInteractive =
      options.isInteractive ?? (process.stdin.isTTY === true && process.stdout.isTTY === true);
  }

  /** Text for people; left out with `--json`. */
  say(text = ""): void {
    if (!this.json) this.#out.write(`${text}\n`);
  }

  /** Something that people should know and that stops nothing; on stderr, also with `--json`. */
  warn(text: string): void {
    this.#err.write(`${pc.yellow("!")} ${text}\n`);
  }

  /**
   * The result of the command.
   *
   * @param value what `--json` prints; bigints become numbers
   * @param text what people read
   */
  answer(value: unknown, text: string): void {
    this.#out.write(`${this.json ? asJson(value) : text}\n`);
  }

  /** Prints what went wrong and what to do. What is no refusal is a fault of ours and is printed whole. */
  refuse(error: unknown): void {
    const { name, message, cure } = describe(error);
    if (this.json) this.#out.write(`${asJson({ error: { name, message, cure } })}\n`);
    else this.#err.write(`${pc.red(message)}\n${cure === "" ? "" : `${cure}\n`}`);
  }

  /**
   * Asks before something that cannot be undone.
   *
   * @throws StoppedByPerson when the answer is no; Refusal where nobody can be asked and `--yes` was not given
   */
  async confirm(question: string): Promise<void> {
    if (this.yes) return;
    this.#needsPerson(question, "Say yes beforehand with --yes.");
    if (!(await answered(askToConfirm({ message: question, default: false })))) throw new StoppedByPerson();
  }

  /**
   * Asks for a line of text.
   *
   * @param cure what to give in place of an answer where nobody can be asked, such as an option
   * @throws StoppedByPerson, Refusal
   */
  async ask(question: string, cure: string): Promise<string> {
    this.#needsPerson(question, cure);
    return (await answered(askForText({ message: question }))).trim();
  }

  /**
   * Asks for what nobody else is to see: it is not shown while it is typed.
   *
   * @throws StoppedByPerson, Refusal
   */
  async askSecret(question: string, cure: string): Promise<string> {
    this.#needsPerson(question, cure);
    return (await answered(askForSecret({ message: question }))).trim();
  }

  /**
   * Does tasks one after the other and shows how far they are.
   *
   * @throws what the first failing task threw; the tasks after it are not begun
   */
  async progress<Context extends object>(tasks: ListrTask<Context>[], context: Context): Promise<Context> {
    return await new Listr<Context>(tasks, {
      renderer: this.json ? "silent" : this.isInteractive ? "default" : "simple",
      rendererOptions: { collapseErrors: false },
    } as ConstructorParameters<typeof Listr<Context>>[1]).run(context);
  }

  #needsPerson(question: string, cure: string): void {
    if (!this.isInteractive || this.json) throw new Refusal(`Nobody is here to answer: ${question}`, cure);
  }
}

async function answered<T>(answer: Promise<T>): Promise<T> {
  try {
    return await answer;
  } catch (error) {
    // Ctrl-C while a question is open.
    if (error instanceof Error && error.name === "ExitPromptError") throw new StoppedByPerson();
    throw error;
  }
}

function describe(error: unknown): { name: string; message: string; cure: string } {
  if (error instanceof Refusal) return error;
  if (error instanceof Error) {
    return { name: error.name, message: error.stack ?? error.message, cure: "This is a fault of duebase." };
  }
  return { name: "Error", message: String(error), cure: "This is a fault of duebase." };
}

/** JSON for programs. Amounts become numbers: minor units stay far below what a double holds exactly. */
export function asJson(value: unknown): string {
  return JSON.stringify(value, (_key, it) => (typeof it === "bigint" ? Number(it) : it), 2);
}
