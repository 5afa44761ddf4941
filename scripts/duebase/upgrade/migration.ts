import { BANNER, NO_TICK_MEANWHILE } from "../project/migrations.ts";
import type { UpgradeStep } from "./steps.ts";

/**
 * The migration of an upgrade: it refuses a database of another release, makes the steps of each release and records
 * that it did.
 *
 * @param from the release that is installed
 * @param steps oldest first; at least one
 */
export function upgradeMigration(from: string, steps: readonly UpgradeStep[]): string {
  const to = steps.at(-1)?.release;
  return [
    `${BANNER}${to}: the steps from ${from}. Written by \`duebase upgrade\`.`,
    refuseOtherReleases(from),
    NO_TICK_MEANWHILE,
    noteTheirs,
    ...steps.map((step) => `-- ${step.release}\n\n${step.sql}\n\n${record(step.release)}`),
    revokes,
    noteOurs,
    "",
  ].join("\n\n");
}

function refuseOtherReleases(from: string): string {
  return `do $$
begin
  if billing.version() <> '${from}' then
    raise exception 'this database has Duebase %, and these steps begin at ${from}', billing.version()
      using hint = 'Apply the migrations before this one first.';
  end if;
end
$$;`;
}

function record(release: string): string {
  return `create or replace function billing.version()
returns text
language sql
immutable
set search_path = ''
as $$
  select '${release}'
$$;
insert into billing.releases (release, installed_at) values ('${release}', now());`;
}

const noteTheirs = `-- What the team has in our schemas, so that it is not taken for ours afterwards.
create temporary table duebase_theirs as select o.type, o.identity from billing_private.foreign_objects() as o;`;

const noteOurs = `delete from billing_private.our_objects;
insert into billing_private.our_objects (type, identity)
select distinct o.type, o.identity from billing_private.objects_of_schemas() as o
except
select t.type, t.identity from duebase_theirs as t;
drop table duebase_theirs;`;

const revokes = `-- Nobody executes a function of ours unless it is granted by name.
revoke execute on all functions in schema billing from public;
revoke execute on all functions in schema billing_private from public;
revoke execute on all procedures in schema billing from public;
revoke execute on all procedures in schema billing_private from public;`;
