-- Schedule: what runs by the clock. pg_cron makes no missed run up, so every job asks what is due, not what time it is.

create extension if not exists pg_cron with schema pg_catalog;

select cron.schedule('duebase-retry', '* * * * *', 'select billing.retry_failed_webhooks()');
select cron.schedule('duebase-link', '* * * * *', 'select billing_private.link_waiting_customers(now())');
