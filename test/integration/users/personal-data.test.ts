import { afterAll, beforeAll, expect, test } from "vitest";
import { createTestDatabase, type TestDatabase } from "../../support/database.ts";

// Whoever adds a column that takes text decides here, or in billing_private.personal_data, whether a person can be told by it.

/** Tables of which no row is about a customer. */
const ABOUT_NOBODY = [
  "billing.settings",
  "billing.products",
  "billing.prices",
  "billing.event_handlers",
  "billing.dunning_policies",
  "billing.alarms",
  "billing.hourly_metrics",
  "billing.job_problems",
  "billing_private.health_counts",
  "billing.releases",
  "billing.history_runs",
  "billing.history_steps",
  "billing_private.history_lease",
  "billing.outbound_calls",
  "billing.setup_answers",
  "billing.tick_parts",
  "billing.purges",
  "billing_private.error_codes",
  "billing_private.our_objects",
  "billing_private.outbound_requests",
  "billing_private.settings_passes",
  "billing_private.refresh_handlers",
  "billing_private.set_handlers",
  "billing_private.personal_data",
];

/** Columns, by name in whichever table, that hold ids, codes, statuses, and nothing anybody wrote. */
const CODES = [
  ...[
    "id",
    "object_id",
    "event_id",
    "customer_id",
    "customer",
    "subscription",
    "invoice",
    "invoice_id",
    "payment_id",
  ],
  ...[
    "payment_intent",
    "charge",
    "latest_charge",
    "latest_invoice",
    "price",
    "product",
    "payment_method",
    "schedule",
  ],
  ...["payment_method_type", "payment_record", "customer_account"],
  ...["default_payment_method", "subject_id", "account", "resend_id", "dedupe_key", "number", "locked_by"],
  ...["status", "type", "kind", "source", "reason", "action", "actor", "api_version", "template", "locale"],
  ...[
    "mode",
    "payment_status",
    "recovered_from",
    "setup_intent",
    "payment_link",
    "card_country",
    "card_funding",
    "failure_reason",
  ],
  ...["feature", "features", "sources", "reached", "whole_event", "whole_features"],
  ...["metric", "idempotency_key", "idempotency_keys", "purchase", "session", "limits", "counts"],
  ...["compared", "unsuperseded"],
  ...["withheld_reason", "tells", "code"],
  ...["scope", "policy", "outcome", "holds", "anchor_invoice", "invoices"],
  ...["currency", "billing_reason", "collection_method", "card_brand", "failure_code"],
];

/** Columns that could hold more, and why they do not. */
const DECIDED: Record<string, string> = {
  "billing.audit_events.detail": "append-only: written without personal data, see audit_facts",
  "billing.drift.field": "a column's name",
  "billing.drift.object": "a kind of object",
  "billing.drift.why": "written by us, with ids",
  "billing.dunning_runs.problem": "of a run, not of a customer",
  "billing.history_problems.step": "a kind of object",
  "billing.emails.from_address": "the project's own",
  "billing.emails.reply_to": "the project's own",
  "billing.suppressed_addresses.address": "becomes its digest, see forget_addresses",
  "billing.dunning_charges.renewal": "a digest of a card's data",
  "billing_private.given_cards.renewal": "a digest of a card's data",
  "billing.payments.payment_method_name": "what the operator calls a way to pay",
  "billing_private.payment_sources.payment_method_name": "what the operator calls a way to pay",
  "billing.seats.item": "id of a subscription item",
  "billing.seats.tried_cards": "ids of payment methods, and a digest of a card's data",
  "billing.subscriptions.pause_collection": "behavior and a date",
  "billing_private.deleted_owners.problem":
    "an error of ours about ids, gone with the next try that succeeds",
  "billing_private.unlinked_users.problem":
    "an error of ours about ids, gone with the next try that succeeds",
  "billing.subscriptions.status_details": "Stripe's reason of a pause, and a date",
};

let database: TestDatabase;
beforeAll(async () => {
  database = await createTestDatabase();
});
afterAll(() => database.drop());

test("of every column that takes text it is decided whether it is a person's", async () => {
  const open = await database.sql<{ name: string }[]>`
    select format('%s.%s.%s', n.nspname, c.relname, a.attname) as name
    from pg_attribute as a
    join pg_class as c on c.oid = a.attrelid
    join pg_namespace as n on n.oid = c.relnamespace
    where n.nspname in ('billing', 'billing_private')
      and c.relkind in ('r', 'p', 'm')
      and not c.relispartition
      and a.attnum > 0
      and not a.attisdropped
      and (a.atttypid in ('text'::regtype, 'jsonb'::regtype, 'json'::regtype, 'varchar'::regtype) or a.atttypid::regtype::text like 'text[]')
      and n.nspname || '.' || c.relname <> all (${ABOUT_NOBODY})
      and a.attname <> all (${CODES})
      and n.nspname || '.' || c.relname || '.' || a.attname <> all (${Object.keys(DECIDED)})
      and not exists (
        select from billing_private.personal_data as p
        where p.table_name = n.nspname || '.' || c.relname and p.column_name = a.attname
      )
    order by 1
  `;
  expect(open.map(({ name }) => name)).toEqual([]);
});

test("what is listed is there, and its statements run", async () => {
  await database.sql`select billing_private.erase_personal_data(gen_random_uuid(), array['cus_unknown'], now())`;
  const missing = await database.sql`
    select table_name, column_name from billing_private.personal_data as p
    where not exists (select from pg_attribute as a where a.attrelid = p.table_name::regclass and a.attname = p.column_name)
  `;
  expect(missing).toEqual([]);
});
