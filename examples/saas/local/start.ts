import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import getPort from "get-port";
import type Stripe from "stripe";
import { build, createServer, preview } from "vite";
import { openSql } from "../../../scripts/local/sql.ts";
import { type Stack, type StackOptions, startStack } from "../../../scripts/local/stack.ts";
import { stripeAt } from "../../../scripts/local/stripe-client.ts";
import { APP_NAME } from "../src/app-name.ts";
import { sellPlans } from "./catalogue.ts";

const root = dirname(dirname(fileURLToPath(import.meta.url)));

export interface Example {
  stack: Stack;
  /** Where the application is. */
  url: string;
  stripe: Stripe;
  /** Ends the application and the stack. */
  stop(): Promise<void>;
}

/**
 * Starts the example on a local stack of its own.
 *
 * @param options `serve`: "dev" follows its files as they change, "built" serves what a release would be
 */
export async function startExample(
  options: StackOptions & { serve: "dev" | "built"; port?: number },
): Promise<Example> {
  const { serve, port: preferred = 5173, ...ofStack } = options;
  const port = await getPort({ port: preferred, host: "127.0.0.1" });
  const url = `http://127.0.0.1:${port}`;
  const stack = await startStack({ ...ofStack, migrations: join(root, "supabase", "migrations") });
  try {
    await nameApplication(stack.status.DB_URL, url);
    const stripe = stripeAt(stack.status.STRIPE_API_URL);
    await sellPlans(stripe);
    await stack.stripe.settled();
    process.env.VITE_SUPABASE_URL = stack.status.API_URL;
    process.env.VITE_SUPABASE_PUBLISHABLE_KEY = stack.status.PUBLISHABLE_KEY;
    const close = await serveApplication(serve, port, join(ofStack.directory ?? root, "application"));
    return {
      stack,
      url,
      stripe,
      async stop() {
        await close();
        await stack.stop();
      },
    };
  } catch (error) {
    await stack.stop();
    throw error;
  }
}

/** Where Stripe's pages may lead back to, and whose pages may call the functions. */
async function nameApplication(databaseUrl: string, url: string): Promise<void> {
  const sql = openSql(databaseUrl);
  await sql`
    update billing.settings set app_name = ${APP_NAME}, app_url = ${url}, billing_url = ${`${url}/billing`} where id`;
  await sql.end();
}

async function serveApplication(
  serve: "dev" | "built",
  port: number,
  outDir: string,
): Promise<() => Promise<void>> {
  const shared = { root, configFile: join(root, "vite.config.ts"), logLevel: "warn" } as const;
  const where = { host: "127.0.0.1", port, strictPort: true };
  if (serve === "dev") {
    const server = await createServer({ ...shared, server: where });
    await server.listen();
    return () => server.close();
  }
  await build({ ...shared, build: { outDir, emptyOutDir: true, chunkSizeWarningLimit: 2_000 } });
  const server = await preview({ ...shared, preview: where, build: { outDir } });
  return () => server.close();
}
