import type { Sql } from "postgres";
import type { SelfReport } from "../../../supabase/functions/_duebase/self-report.ts";
import type { Lock } from "../project/lock.ts";
import type { ReadResend } from "./resend.ts";
import type { ReadStripe } from "./stripe.ts";

/** The columns of billing.settings that checks ask about. */
export interface Settings {
  mode: "mirror" | "live";
  project_ref: string | null;
  livemode: boolean;
  stripe_account: string | null;
  app_name: string;
  app_url: string;
  email_from: string | null;
}

/** What the database tells of the way to the functions, from Vault. */
export interface FunctionsAddress {
  url: string | null;
  secret: string | null;
  problem: string | null;
}

/** How `duebase-deliver` answered a question that the database asked through pg_net. */
export type RoundTrip =
  | {
      is: "answered";
      report: SelfReport;
      /** Milliseconds from asking to the answer in the database. */
      took: number;
      /** By this machine's clock, milliseconds since the epoch. */
      answeredAt: number;
    }
  | { is: "refused"; problem: string };

/** What checks look with. Whatever several of them need is asked once. */
export interface DoctorContext {
  /** The release that this command is of. */
  release: string;
  sql: Sql;
  settings(): Promise<Settings>;
  functions(): Promise<FunctionsAddress>;
  roundTrip(): Promise<RoundTrip>;
  /** undefined where no key was given. */
  stripe: ReadStripe | undefined;
  /** undefined where no key was given. */
  resend: ReadResend | undefined;
  /** Stripe's secret of the webhook, where this machine has it. */
  webhookSecret: string | undefined;
  /** Resend's, likewise. */
  resendWebhookSecret: string | undefined;
  /** The lock file of the project on this machine, where there is one. */
  lock: Lock | undefined;
  /** Where that project is. */
  projectRoot: string | undefined;
  /**
   * The reference of the project whose database this is, or `local`: as it was named, or as the database's address tells,
   * else as the functions' address does; undefined where it is not known.
   */
  projectRef: string | undefined;
  /** A select of the application's own that gives owner_id and feature. */
  accessQuery: string | undefined;
  /** This machine's clock, milliseconds since the epoch. */
  now(): number;
  /** Ends what a check has begun when its time is over. */
  signal: AbortSignal;
}
