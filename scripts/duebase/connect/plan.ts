import type { Sql } from "postgres";
import type { ManagementApi } from "../connections/management.ts";
import type { ResendApi } from "../connections/resend.ts";
import type { StripeApi } from "../connections/stripe.ts";
import type { DatabaseState } from "./database.ts";

/** What a step works with. */
export interface Connections {
  supabase: ManagementApi;
  sql: Sql;
  /** Undefined where no key is known: there are no steps then that need it. */
  stripe: StripeApi | undefined;
  resend: ResendApi | undefined;
}

/** One thing that is missing and will be set up. */
export interface Step {
  /** Names it for programs. */
  id: string;
  /** What is done, for people; never with a secret. */
  what: string;
  run(connections: Connections): Promise<void>;
}

/** What connect found to do, and what it leaves to a person. */
export interface Plan {
  steps: Step[];
  /** What is not right and connect cannot mend, each with what to do. */
  missing: Gap[];
  /** What a person should know. */
  notes: string[];
}

export interface Gap {
  what: string;
  cure: string;
}

/** What is there. */
export interface Found {
  projectRef: string;
  exposedSchemas: string[];
  /** Digests of the functions' secrets, by name. */
  digests: ReadonlyMap<string, string>;
  /** Slugs that are deployed. */
  deployed: ReadonlySet<string>;
  database: DatabaseState;
}

/** What a person wants, and gave. */
export interface Wanted {
  /** Where the functions are: https://<ref>.supabase.co/functions/v1 */
  functionsUrl: string;
  /** Values of secrets by name, from the environment or asked for. Secret. */
  given: ReadonlyMap<string, string>;
  /** The connected account whose events are to be projected. */
  stripeAccount: string | undefined;
  /** Of which service the webhook is made anew, with a new secret. */
  renew: ReadonlySet<"stripe" | "resend">;
  /** The slugs of our functions. */
  slugs: readonly string[];
}

/** Adds up the parts of a plan. */
export function joined(...plans: Plan[]): Plan {
  return {
    steps: plans.flatMap(({ steps }) => steps),
    missing: plans.flatMap(({ missing }) => missing),
    notes: plans.flatMap(({ notes }) => notes),
  };
}

/** A plan of some steps and no more. */
export function planOf(...steps: Step[]): Plan {
  return { steps, missing: [], notes: [] };
}
