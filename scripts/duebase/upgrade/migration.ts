import { BANNER } from "../project/migrations.ts";
import type { UpgradeStep } from "../release-package.ts";

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
    ...steps.map((step) => `-- ${step.release}\n\n${step.sql}\n\n${record(step.release)}`),
    revokes,
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

const revokes = `-- Nobody executes a function of ours unless it is granted by name.
revoke execute on all functions in schema billing from public;
revoke execute on all functions in schema billing_private from public;
revoke execute on all procedures in schema billing from public;
revoke execute on all procedures in schema billing_private from public;`;
