import { BANNER } from "../project/migrations.ts";
import { CRON_JOBS, VAULT_NAMES } from "../project/our-names.ts";
import { DEPENDENTS_SQL } from "./dependents-sql.ts";

/**
 * The SQL that takes everything of ours out of a database: cron jobs, names in Vault, schemas with all that is in them,
 * our triggers on auth.users. It can be applied again, and to a database that never had us. It refuses where something
 * of the team's depends on ours, and changes nothing then.
 *
 * @param release the release that is installed
 */
export function removalMigration(release: string): string {
  return `${BANNER}${release}: takes Duebase out of the database. Written by \`duebase uninstall\`.
-- The migrations that put it there stay in the history, so that it can be replayed: on a new branch, the two together
-- leave nothing. Extensions stay, as others may use them by now: pg_cron, pg_net.

do $$
declare
  dependents text;
begin
  select string_agg(d.type || ' ' || d.identity, ', ') into dependents
  from (
${DEPENDENTS_SQL.replace(/^/gm, "    ")}
  ) as d;
  if dependents is not null then
    raise exception 'these depend on Duebase and would go with it: %', dependents
      using hint = 'Change or drop each of them in a migration before this one.';
  end if;
end
$$;

do $$
begin
  -- First, so that no tick begins while the rest goes.
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
