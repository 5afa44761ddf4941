import { BANNER, NO_TICK_MEANWHILE } from "../project/migrations.ts";
import { CRON_JOBS, VAULT_NAMES } from "../project/our-names.ts";

/**
 * The SQL that takes everything of ours out of a database: cron jobs, names in Vault, schemas with all that is in them,
 * our triggers on auth.users. It can be applied again, and to a database that never had us. It refuses where something
 * of the team's would go with ours, and where schema billing is not ours, and changes nothing then.
 *
 * @param release the release that is installed
 */
export function removalMigration(release: string): string {
  return `${BANNER}${release}: takes Duebase out of the database. Written by \`duebase uninstall\`.
-- The migrations that put it there stay in the history, so that it can be replayed: on a new branch, the two together
-- leave nothing. Extensions stay, as others may use them by now: pg_cron, pg_net.

do $$
declare
  theirs text;
begin
  if to_regnamespace('billing') is null and to_regnamespace('billing_private') is null then
    return;
  end if;
  if to_regclass('billing_private.our_objects') is null or to_regprocedure('billing_private.foreign_objects()') is null then
    raise exception 'schema billing is not Duebase''s'
      using hint = 'This migration takes Duebase out, and finds a schema of its name that it did not make.';
  end if;
  execute 'select string_agg(o.type || '' '' || o.identity, '', '') from billing_private.foreign_objects() as o' into theirs;
  if theirs is not null then
    raise exception 'these are not Duebase''s and would go with it: %', theirs
      using hint = 'Change or drop each of them in a migration before this one.';
  end if;
end
$$;

${NO_TICK_MEANWHILE}

do $$
begin
  if to_regclass('cron.job') is not null then
    perform cron.unschedule(j.jobid) from cron.job as j
    where j.jobname in (${literals(CRON_JOBS)}) and j.username = current_user;
  end if;
  if to_regclass('vault.secrets') is not null then
    delete from vault.secrets where name in (${literals(VAULT_NAMES)});
  end if;
end
$$;

-- What is in them goes with the schemas; our triggers on auth.users go with their functions. The owner of a function may
-- drop its triggers so, but not by drop trigger, as auth.users is another role's.
drop schema if exists billing_private cascade;
drop schema if exists billing cascade;
`;
}

/** Names of ours, which hold no quote, as SQL has them. */
function literals(names: readonly string[]): string {
  return names.map((name) => `'${name}'`).join(", ");
}
