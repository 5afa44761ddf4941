import { createClient, type SupabaseClient } from "@supabase/supabase-js";
import postgres from "postgres";
import type Stripe from "stripe";
import { WebSocket } from "ws";
import type { Stack } from "../local/stack.ts";
import { stripeAt } from "../local/stripe-client.ts";

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
  const sql = postgres(stack.status.DB_URL, {
    max: 2,
    onnotice: () => {},
    types: { bigint: postgres.BigInt },
  }) as unknown as postgres.Sql;
  return {
    stack,
    stripe: stripeAt(stack.status.STRIPE_API_URL),
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
