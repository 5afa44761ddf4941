import { isIPv4 } from "node:net";
import { resolve } from "node:path";
import { Command, CommanderError, InvalidArgumentError } from "commander";
import { whenNpmEnds } from "../parents.ts";

/** What a command says of itself that starts one server. */
export interface ServerIntroduction {
  name: string;
  version: string;
  description: string;
  defaultPort: number;
  /** The key that its callers send: what it is called, how it begins, and what is wrong with one that does not. */
  key: { name: string; begins: RegExp; fault: string };
  /** What its help says below the options. */
  notes: string;
}

/** Where a server is to listen, and what it is to do from the start. */
export interface ServerOptions {
  port: number;
  host: string;
  webhookUrl: string[];
  webhookSecret?: string;
  stateFile?: string;
  apiKey?: string;
}

/** A server that runs. */
export interface Served {
  /** What people are told: where it is, and how to use it. */
  lines: string[];
  close(): Promise<void>;
}

/** Exit codes, as the command `duebase` has them. */
const exit = { done: 0, refused: 1, usage: 2 } as const;

/** A signal that comes again after this many milliseconds means "now"; npm repeats a terminal's at once. */
const sameSignalMs = 1_000;

/** The options that both servers have. */
export function serverCommand({
  name,
  version,
  description,
  defaultPort,
  key,
  notes,
}: ServerIntroduction): Command {
  return new Command(name)
    .description(description)
    .version(version, "--version", "print the version and end")
    .option("--port <number>", "where it listens; 0 takes a free port", portOf, defaultPort)
    .option("--host <address>", "an address of this machine alone", hostOf, "127.0.0.1")
    .option("--webhook-url <url>", "gets every event; may be given several times", oneMoreUrl)
    .option("--webhook-secret <secret>", "signs what is sent there; a new one where absent, which is printed")
    .option("--state-file <path>", "keeps everything there across restarts; in memory only where absent")
    .option("--api-key <key>", `the one ${key.name} that is accepted`, (text: string) => {
      if (key.begins.test(text)) return text;
      throw new InvalidArgumentError(key.fault);
    })
    .showHelpAfterError("(--help shows how)")
    .addHelpText("after", `\n${notes}\n\nExit codes: 0 ended by a signal, 1 could not start, 2 wrong usage.`)
    .exitOverride();
}

/**
 * Reads the command line, starts the server, says where it is, and keeps it up until SIGINT, SIGTERM or SIGHUP, or until the
 * npm that began it is gone. Ends the process.
 */
export async function runServer(
  command: Command,
  start: (options: ServerOptions) => Promise<Served>,
): Promise<void> {
  const name = command.name();
  try {
    const options = parsed(command);
    const ended = whenTold();
    const served = await start(options).catch((error: unknown) => {
      throw new Error(reasonOf(error, options), { cause: error });
    });
    // In one piece: whoever waits for where it is has then been told all of it.
    console.log(served.lines.join("\n"));
    await ended;
    await served.close();
    process.exit(exit.done);
  } catch (error) {
    // Commander has printed it already; help and version are no errors.
    if (error instanceof CommanderError) process.exit(error.exitCode === 0 ? exit.done : exit.usage);
    console.error(`${name}: ${error instanceof Error ? error.message : String(error)}`);
    process.exit(exit.refused);
  }
}

function parsed(command: Command): ServerOptions {
  const options = { webhookUrl: [], ...command.parse().opts<Partial<ServerOptions>>() } as ServerOptions;
  if (options.webhookSecret !== undefined && options.webhookUrl.length === 0)
    command.error("error: --webhook-secret signs what is sent to --webhook-url, which is not given");
  if (options.stateFile === undefined) return options;
  return { ...options, stateFile: resolve(options.stateFile) };
}

function portOf(text: string): number {
  const port = /^\d{1,5}$/.test(text) ? Number(text) : Number.NaN;
  if (!(port <= 65_535)) throw new InvalidArgumentError("A port is a number from 0 to 65535.");
  return port;
}

function hostOf(text: string): string {
  if (text === "localhost" || text === "::1" || (isIPv4(text) && text.startsWith("127."))) return text;
  throw new InvalidArgumentError("It answers this machine only: 127.0.0.1, localhost or ::1.");
}

function oneMoreUrl(text: string, before: string[] = []): string[] {
  if (!URL.canParse(text) || !/^https?:$/.test(new URL(text).protocol))
    throw new InvalidArgumentError("A webhook's URL begins with http:// or https://.");
  return [...before, text];
}

/** What to tell a person whose server did not start. */
function reasonOf(error: unknown, { port, host }: ServerOptions): string {
  const { code, syscall, message } = error as NodeJS.ErrnoException;
  if (syscall !== "listen" && syscall !== "getaddrinfo") return message ?? String(error);
  if (code === "EADDRINUSE")
    return `port ${port} of ${host} is in use: end what listens there, or take another by --port (0: any that is free)`;
  if (code === "EACCES") return `port ${port} is not open to you: take one from 1024 on by --port`;
  return `cannot listen on ${host}: ${message}`;
}

/** Resolves at the first signal to end; a later one ends the process at once. */
function whenTold(): Promise<void> {
  return new Promise((resolve) => {
    let since: number | undefined;
    const told = (): void => {
      if (since !== undefined && Date.now() - since > sameSignalMs) process.exit(exit.refused);
      since ??= Date.now();
      resolve();
    };
    for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) process.on(signal, told);
    whenNpmEnds(told);
  });
}
