import type { TestDatabase } from "../../support/database.ts";

/** The role of a user in a team of the application's; only `member` does not manage it. */
export type TeamRole = "owner" | "admin" | "member";

/**
 * Gives a database the tables of an application whose teams pay, `app.members`, and names its function in the settings.
 * The function is `app.my_teams`.
 */
export async function payByTeam(database: TestDatabase): Promise<void> {
  await database.sql.unsafe(`
    create schema app;
    create table app.members (team_id uuid not null, user_id uuid not null, role text not null, primary key (team_id, user_id));
    create index members_by_user on app.members (user_id);
    create function app.my_teams(user_id uuid) returns table (owner_id uuid, can_manage boolean)
    language sql stable set search_path = '' as $$
      select m.team_id, m.role in ('owner', 'admin') from app.members as m where m.user_id = my_teams.user_id;
    $$;
    update billing.settings set owners_function = 'app.my_teams' where id;
  `);
}

/** Puts a user into a team, or gives the user another role in it. */
export async function join(database: TestDatabase, team: string, user: string, role: TeamRole) {
  await database.sql`
    insert into app.members (team_id, user_id, role) values (${team}, ${user}, ${role})
    on conflict (team_id, user_id) do update set role = excluded.role`;
}

/** Takes a user out of a team. */
export async function leave(database: TestDatabase, team: string, user: string) {
  await database.sql`delete from app.members where team_id = ${team} and user_id = ${user}`;
}
