import { stripVTControlCharacters } from "node:util";
import { runDuebase } from "../../../scripts/duebase/program.ts";
import type { TestDatabase } from "../database.ts";
import { TEST_KEY } from "./moving-in.ts";
import type { StripeAccount } from "./stripe-account.ts";

/** What a command printed, and what its process would have ended with. */
export interface Commanded {
  code: number;
  /** Without colours. */
  out: string;
  err: string;
}

/**
 * Runs `duebase <args>` in this process, against a test's database and an account in the local Stripe: the program itself, with
 * what it writes kept.
 *
 * @param env further variables; undefined takes one away
 */
export async function duebase(
  database: TestDatabase,
  account: StripeAccount,
  args: string[],
  env: Record<string, string | undefined> = {},
): Promise<Commanded> {
  const variables: Record<string, string | undefined> = {
    DUEBASE_DB_URL: database.url,
    DUEBASE_STRIPE_SECRET_KEY: TEST_KEY,
    DUEBASE_STRIPE_API_URL: account.local.url,
    ...env,
  };
  const before = Object.keys(variables).map((name) => [name, process.env[name]] as const);
  const exitCode = process.exitCode;
  const [out, putOutBack] = keep(process.stdout);
  const [err, putErrBack] = keep(process.stderr);
  setAll(Object.entries(variables));
  process.exitCode = undefined;
  try {
    const code = await runDuebase(args);
    return { code, out: stripVTControlCharacters(out.join("")), err: stripVTControlCharacters(err.join("")) };
  } finally {
    putOutBack();
    putErrBack();
    setAll(before);
    process.exitCode = exitCode;
  }
}

function setAll(variables: (readonly [string, string | undefined])[]): void {
  for (const [name, value] of variables) {
    if (value === undefined) delete process.env[name];
    else process.env[name] = value;
  }
}

/** Keeps what is written to a stream until it is put back. */
function keep(stream: NodeJS.WriteStream): [string[], () => void] {
  const written: string[] = [];
  const write = stream.write;
  stream.write = ((part: string | Uint8Array, ...rest: unknown[]) => {
    written.push(typeof part === "string" ? part : Buffer.from(part).toString());
    const done = rest.at(-1);
    if (typeof done === "function") done();
    return true;
  }) as typeof stream.write;
  return [
    written,
    () => {
      stream.write = write;
    },
  ];
}
