import { createClient, type SupabaseClient } from "@supabase/supabase-js";
import postgres from "postgres";
import Stripe from "stripe";
import { WebSocket } from "ws";
import { localKeys } from "../local/keys.ts";
import type { Stack } from "../local/stack.ts";

/** What the demo talks to: a running stack, and the clients an application and an operator would have. */
export interface DemoWorld {
  stack: Stack;
  /** The application's server side. */
  stripe: Stripe;
  /** The operator's view of the database, as `postgres`. */
  sql: postgres.Sql;
  /** A new visitor's browser, holding the publishable key only. */
  browser(): SupabaseClient;
  close(): Promise<void>;
}

/** Opens the clients. */
export function enter(stack: Stack): DemoWorld {
  const { hostname, port } = new URL(stack.status.STRIPE_API_URL);
  const sql = postgres(stack.status.DB_URL, {
    max: 2,
    onnotice: () => {},
    types: { bigint: postgres.BigInt },
  }) as unknown as postgres.Sql;
  return {
    stack,
    stripe: new Stripe(localKeys.stripeSecretKey, {
      host: hostname,
      port,
      protocol: "http",
      telemetry: false,
    }),
    sql,
    browser: () =>
      createClient(stack.status.API_URL, stack.status.PUBLISHABLE_KEY, {
        auth: { persistSession: false },
        // Node 20 has no WebSocket of its own.
        realtime: { transport: WebSocket as never },
      }),
    close: () => sql.end(),
  };
}
