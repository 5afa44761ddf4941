-- Where the server has the real pg_cron loaded it is created here, by the superuser: pg_cron writes its tables as
-- whoever owns the extension, and on the platform that is the superuser even when a migration creates it.
-- Elsewhere the stand-in waits for a migration to create it.

do $$
begin
  if current_setting('shared_preload_libraries') ~ '\mpg_cron\M'
    and current_setting('cron.database_name', true) = current_database() then
    create extension if not exists pg_cron with schema pg_catalog;
  end if;
end
$$;
