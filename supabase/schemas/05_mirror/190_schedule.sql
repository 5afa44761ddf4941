-- Schedule: what runs by the clock. pg_cron does not repeat a missed run, so every job asks what is due, not what time it is.

create extension if not exists pg_cron with schema pg_catalog;

-- Each event commits by itself: however long this takes, no customer waits for another one's event, and two runs that
-- meet the same customers in another order cannot wait for each other.
select cron.schedule(
  'duebase-retry',
  '* * * * *',
  'do $$ begin while billing.retry_failed_webhook(now()) loop commit; end loop; end $$'
);
select cron.schedule('duebase-link', '* * * * *', 'select billing_private.link_waiting_customers(now())');
