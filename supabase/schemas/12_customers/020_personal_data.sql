-- Personal data: every column that may tell who somebody is, and what becomes of it when they are forgotten. A test holds
-- this list against the catalog, so that no column is added without somebody having decided.
-- Reads: nothing. Writes: personal_data. Called by: nobody; forget_user does what it says.

create table billing_private.personal_data (
  table_name text not null,
  column_name text not null,
  becomes text not null,
  about text not null,
  primary key (table_name, column_name)
);

comment on table billing_private.personal_data is
  'Every column that may hold a person''s data, and what forget_user makes of it. Written by migrations only.';
comment on column billing_private.personal_data.table_name is 'Qualified name of the table.';
comment on column billing_private.personal_data.column_name is 'The column.';
comment on column billing_private.personal_data.becomes is 'SQL expression over the row: what is stored instead.';
comment on column billing_private.personal_data.about is
  'SQL condition over the row: whether it is about the person. $1: the person''s customers, and payments made without one (text[]); $2: the user''s id (uuid); $3: their payments, $4: events (text[]); $5: effects (bigint[]); $6: whatever of theirs has metadata (text[]).';

alter table billing_private.personal_data enable row level security;
create policy nobody_reads on billing_private.personal_data using (false);

insert into billing_private.personal_data (table_name, column_name, becomes, about)
select t.table_name, c.key, c.value, t.about
from (
  values
    (
      'billing.customers', 'id = any ($1)',
      '{"email": "null", "name": "null", "preferred_locales": "''{}''", "metadata": "billing_private.redact_metadata(metadata)"}'::jsonb
    ),
    (
      'billing.subscriptions', 'customer = any ($1)',
      '{
        "metadata": "billing_private.redact_metadata(metadata)",
        "cancellation_details": "billing_private.redact(cancellation_details)",
        "pending_update": "billing_private.redact(pending_update)"
      }'
    ),
    (
      'billing.subscription_items', 'customer = any ($1)',
      '{"metadata": "billing_private.redact_metadata(metadata)"}'
    ),
    (
      'billing.invoices', 'customer = any ($1)',
      '{"hosted_invoice_url": "null", "invoice_pdf": "null", "metadata": "billing_private.redact_metadata(metadata)"}'
    ),
    (
      'billing.payments', 'id = any ($3)',
      '{
        "card_last4": "null", "description": "null", "receipt_url": "null",
        "metadata": "billing_private.redact_metadata(metadata)"
      }'
    ),
    (
      'billing.payment_failures', 'payment_id = any ($3)',
      '{"failure_message": "null"}'
    ),
    (
      'billing.object_metadata', 'object_id = any ($6)',
      '{"metadata": "billing_private.redact_metadata(metadata)"}'
    ),
    (
      'billing_private.payment_sources',
      'payment_id = any ($3)',
      '{
        "card_last4": "null", "description": "null", "failure_message": "null", "receipt_url": "null",
        "metadata": "billing_private.redact_metadata(metadata)"
      }'
    ),
    (
      'billing.refunds', 'payment_id = any ($3)',
      '{"metadata": "billing_private.redact_metadata(metadata)", "receipt_number": "null"}'
    ),
    (
      'billing.disputes', 'payment_id = any ($3)',
      '{"metadata": "billing_private.redact_metadata(metadata)"}'
    ),
    (
      'billing.payment_methods', 'customer = any ($1)',
      '{"card_last4": "null", "metadata": "billing_private.redact_metadata(metadata)"}'
    ),
    (
      'billing.checkout_sessions', 'customer = any ($1) or id = any ($1) or payment_intent = any ($1)',
      '{
        "client_reference_id": "billing_private.as_uuid(client_reference_id)::text", "recovery_url": "null",
        "metadata": "billing_private.redact_metadata(metadata)"
      }'
    ),
    ('billing.credit_entries', 'owner_id = $2 and note is not null', '{"note": "null"}'),
    ('billing.dunning_cases', 'customer = any ($1) and note is not null', '{"note": "null"}'),
    ('billing.dunning_resumptions', 'customer = any ($1) and note is not null', '{"note": "null"}'),
    (
      'billing.dunning_actions',
      'note is not null and case_id = any (array(select c.id from billing.dunning_cases as c where c.customer = any ($1)))',
      '{"note": "null"}'
    ),
    (
      'billing.dunning_holds', 'customer = any ($1)',
      '{"reason": "''removed: the customer is forgotten''"}'
    ),
    (
      'billing_private.customer_owner_hints', 'customer_id = any ($1)',
      '{"hinted_owner": "coalesce(billing_private.as_uuid(hinted_owner)::text, '''')"}'
    ),
    (
      'billing.emails', 'customer_id = any ($1) or outbox_id = any ($5)',
      '{"to_address": "billing_private.address_digest(to_address)", "subject": "''''", "html": "''''", "text": "''''", "message_references": "null", "attachment": "null", "problem": "null"}'
    ),
    (
      'billing.outbox', 'id = any ($5)',
      '{"payload": "payload - array[''to'', ''props'', ''error'']", "last_error": "last_error - ''message''"}'
    ),
    (
      'billing.failed_webhooks',
      'event_id = any ($4)',
      '{"error": "jsonb_build_object(''sqlstate'', error -> ''sqlstate'', ''message'', ''removed: the customer is forgotten'')"}'
    ),
    (
      'billing_private.webhook_payloads', 'event_id = any ($4)',
      '{"payload": "billing_private.redact(payload)"}'
    ),
    (
      'billing_private.kept_payloads', 'event_id = any ($4)',
      '{"payload": "billing_private.redact(payload)"}'
    )
) as t (table_name, about, columns)
cross join lateral jsonb_each_text(t.columns) as c;
