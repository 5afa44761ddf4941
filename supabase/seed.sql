-- Runs once on a new local database (`npm run dev`, `supabase start`, `supabase db reset`), never on a hosted one.
update billing.settings
set app_name = 'Example Notes', app_url = 'http://localhost:3000', livemode = false
where id;
