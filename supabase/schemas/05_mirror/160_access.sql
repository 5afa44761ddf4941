-- Access: everything anybody may do, in one place. What is not granted here is refused.
-- anon: nothing. authenticated: select on its own rows. service_role: select, and the functions named below.
-- Nobody writes to a table: the functions do, as their owner.

grant select on
  billing.customers, billing.subscriptions, billing.subscription_items, billing.invoices, billing.payments,
  billing.payment_methods
to authenticated;

grant select on all tables in schema billing to service_role;

grant execute on function
  billing.receive_event(jsonb, timestamptz),
  billing.retry_failed_webhook(timestamptz),
  billing.replay_failed_webhook(text, timestamptz)
to service_role;

-- A user's own rows. auth.uid() stands in a subselect so that it is read once a query, not once a row; the customers
-- stand in an array because a policy's `in (select …)` is never turned into a join, and would read every row of the
-- table where this looks the few up in an index.

create policy owner_reads on billing.customers
  for select to authenticated
  using (owner_id = (select auth.uid()));

create policy owner_reads on billing.subscriptions
  for select to authenticated
  using (customer = any (array(select c.id from billing.customers as c where c.owner_id = (select auth.uid()))));

create policy owner_reads on billing.subscription_items
  for select to authenticated
  using (
    subscription = any (array(
      select s.id
      from billing.customers as c
      join billing.subscriptions as s on s.customer = c.id
      where c.owner_id = (select auth.uid())
    ))
  );

create policy owner_reads on billing.invoices
  for select to authenticated
  using (customer = any (array(select c.id from billing.customers as c where c.owner_id = (select auth.uid()))));

create policy owner_reads on billing.payments
  for select to authenticated
  using (customer = any (array(select c.id from billing.customers as c where c.owner_id = (select auth.uid()))));

-- Detached payment methods are kept for accounting, not for the page where a customer chooses one.
create policy owner_reads on billing.payment_methods
  for select to authenticated
  using (
    detached_at is null
    and customer = any (array(select c.id from billing.customers as c where c.owner_id = (select auth.uid())))
  );

-- service_role bypasses row security; the policies below state that where people look for it, and state as well
-- that nobody else reads these tables.

create policy service_role_reads on billing.settings for select to service_role using (true);
create policy service_role_reads on billing.webhook_events for select to service_role using (true);
create policy service_role_reads on billing.webhook_duplicates for select to service_role using (true);
create policy service_role_reads on billing.failed_webhooks for select to service_role using (true);
create policy service_role_reads on billing.event_handlers for select to service_role using (true);
create policy service_role_reads on billing.object_metadata for select to service_role using (true);
create policy service_role_reads on billing.payment_failures for select to service_role using (true);
create policy service_role_reads on billing.products for select to service_role using (true);
create policy service_role_reads on billing.prices for select to service_role using (true);
create policy service_role_reads on billing.invoice_payments for select to service_role using (true);
create policy service_role_reads on billing.refunds for select to service_role using (true);
create policy service_role_reads on billing.disputes for select to service_role using (true);
create policy service_role_reads on billing.checkout_sessions for select to service_role using (true);
create policy service_role_reads on billing.audit_events for select to service_role using (true);
create policy service_role_reads on billing.outbox for select to service_role using (true);

-- The internals: closed to everybody but their owner. Row security without a policy would close them just as well,
-- but could not be told from a policy that was forgotten.

create policy nobody_reads on billing_private.error_codes using (false);
create policy nobody_reads on billing_private.object_versions using (false);
create policy nobody_reads on billing_private.customer_owner_hints using (false);
create policy nobody_reads on billing_private.payment_sources using (false);
