import type { Sql } from "postgres";
import { VAULT_NAMES } from "../project/our-names.ts";
import { Refusal } from "../terminal.ts";

/** What the database says of how it is connected. */
export interface DatabaseState {
  /** Names in Vault, with their values. Secret. */
  vault: ReadonlyMap<string, string>;
  livemode: boolean;
  /** The connected account whose events are projected; null: the account's own. */
  stripeAccount: string | null;
  /** Every event type that a handler takes, an application's too, as Stripe names it. */
  eventTypes: string[];
  /** Whether an event of Stripe's has been stored. */
  hasEvents: boolean;
}

/** Held by one `duebase connect` at a time, for as long as it runs. It is tried and never waited for. */
const CONNECT_LOCK = 7320;

/**
 * Keeps a second run away until this connection closes.
 *
 * @throws Refusal where another run is under way
 */
export async function lockOutOtherRuns(sql: Sql): Promise<void> {
  const [row] = await sql`select pg_try_advisory_lock(${CONNECT_LOCK}) as locked`;
  if (row?.locked === true) return;
  throw new Refusal(
    "Another duebase connect is at work on this project.",
    "Wait until it has ended. If it was killed, the database notices within a minute or so.",
  );
}

/**
 * Reads it all.
 *
 * @throws Refusal where Duebase is not in the database, or Vault is not there
 */
export async function readDatabase(sql: Sql): Promise<DatabaseState> {
  const [there] = await sql`
    select to_regclass('billing.settings') is not null as has_billing,
           to_regclass('vault.decrypted_secrets') is not null as has_vault`;
  if (there?.has_billing !== true) {
    throw new Refusal(
      "Duebase is not in this database: it has no table billing.settings.",
      "Is it the right database? Then push the migration first: npx supabase db push --linked",
    );
  }
  if (there.has_vault !== true) {
    throw new Refusal(
      "Vault is not there: the extension supabase_vault is not installed.",
      "Enable it: create extension supabase_vault;",
    );
  }
  const [settings] = await sql`select livemode, stripe_account from billing.settings where id`;
  const types = await sql`
    select distinct event_type from billing.event_handlers
    where event_type not like 'duebase.%' order by event_type`;
  const [events] = await sql`select exists (select from billing.webhook_events) as found`;
  const vault = await sql`
    select name, decrypted_secret from vault.decrypted_secrets where name = any (${[...VAULT_NAMES]})`;
  return {
    vault: new Map(vault.map(({ name, decrypted_secret }) => [name, decrypted_secret])),
    livemode: settings?.livemode === true,
    stripeAccount: settings?.stripe_account ?? null,
    eventTypes: types.map(({ event_type }) => event_type),
    hasEvents: events?.found === true,
  };
}

/** Puts a value into Vault under a name, in place of what is there. */
export async function keepInVault(sql: Sql, name: string, value: string): Promise<void> {
  await sql.begin(async (transaction) => {
    const [known] = await transaction`select id from vault.secrets where name = ${name}`;
    if (known) await transaction`select vault.update_secret(${known.id}::uuid, ${value})`;
    else await transaction`select vault.create_secret(${value}, ${name})`;
  });
}

export async function setLivemode(sql: Sql, livemode: boolean): Promise<void> {
  await sql`update billing.settings set livemode = ${livemode} where id`;
}

export async function setStripeAccount(sql: Sql, account: string): Promise<void> {
  await sql`update billing.settings set stripe_account = ${account} where id`;
}
