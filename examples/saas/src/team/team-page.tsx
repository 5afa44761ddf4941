import type { User } from "@supabase/supabase-js";
import { type FormEvent, useState } from "react";
import { billing } from "../../../../client/index.ts";
import { Card, Page } from "../parts/page.tsx";
import { Failure, WhenReady } from "../parts/states.tsx";
import { supabase } from "../supabase.ts";
import { dataOf, useLoaded } from "../use-loaded.ts";
import { useWords } from "../words/words.tsx";
import type { Team } from "./use-teams.ts";

interface TeamPageProps {
  user: User;
  team: Team;
  /** The signed-in user's own membership has changed. */
  changed: () => void;
}

export function TeamPage({ user, team, changed }: TeamPageProps) {
  const { words } = useWords();
  const people = useLoaded(team.id, () => readPeople(team));
  const [problem, setProblem] = useState<string>();

  async function act(deed: PromiseLike<{ error: { code?: string } | null }>) {
    const { error } = await deed;
    setProblem(error ? (error.code === "23514" ? words.team.noSeat : words.failed) : undefined);
    people.reload();
    changed();
  }

  function invite(event: FormEvent<HTMLFormElement>) {
    event.preventDefault();
    const form = event.currentTarget;
    const email = String(new FormData(form).get("email")).trim().toLowerCase();
    void act(supabase.from("invitations").insert({ team_id: team.id, email, role: "member" })).then(() =>
      form.reset(),
    );
  }

  return (
    <Page title={team.name}>
      {problem && <Failure text={problem} />}
      <WhenReady of={people}>
        {({ members, invitations, seats }) => (
          <>
            <Card title={words.team.members}>
              {seats.used !== null && <p>{words.team.seats(seats.used, seats.seats_limit)}</p>}
              <ul className="rows">
                {members.map(({ user_id, email, role }) => (
                  <li key={user_id}>
                    <span>
                      {email} {user_id === user.id && <em>({words.team.you})</em>}
                    </span>
                    {team.canManage && role !== "owner" && user_id !== user.id ? (
                      <select
                        aria-label={words.team.roleOf(email)}
                        value={role}
                        onChange={(event) =>
                          act(
                            supabase.rpc("set_role", {
                              team: team.id,
                              member: user_id,
                              role: event.target.value,
                            }),
                          )
                        }
                      >
                        <option value="admin">{words.team.roles.admin}</option>
                        <option value="member">{words.team.roles.member}</option>
                      </select>
                    ) : (
                      <span className="muted">{words.team.roles[role]}</span>
                    )}
                    {role !== "owner" && (team.canManage || user_id === user.id) && (
                      <button
                        type="button"
                        aria-label={user_id === user.id ? words.team.leave : words.team.removeOf(email)}
                        onClick={() =>
                          act(supabase.from("members").delete().eq("team_id", team.id).eq("user_id", user_id))
                        }
                      >
                        {user_id === user.id ? words.team.leave : words.team.remove}
                      </button>
                    )}
                  </li>
                ))}
              </ul>
            </Card>
            {team.canManage ? (
              <Card title={words.team.invite}>
                {seats.is_allowed === false && <p>{words.team.noSeat}</p>}
                <form onSubmit={invite}>
                  <label>
                    {words.team.inviteEmail}
                    <input name="email" type="email" autoComplete="off" required />
                  </label>
                  <button type="submit" className="primary">
                    {words.team.inviteSubmit}
                  </button>
                </form>
                <ul className="rows">
                  {invitations.map(({ email }) => (
                    <li key={email}>
                      <span>{email}</span>
                      <span className="muted">{words.team.invited}</span>
                      <button
                        type="button"
                        aria-label={words.team.withdraw(email)}
                        onClick={() =>
                          act(supabase.from("invitations").delete().eq("team_id", team.id).eq("email", email))
                        }
                      >
                        {words.team.remove}
                      </button>
                    </li>
                  ))}
                </ul>
              </Card>
            ) : (
              <p className="muted">{words.team.membersOnly}</p>
            )}
          </>
        )}
      </WhenReady>
    </Page>
  );
}

async function readPeople({ id, canManage }: Team) {
  const [members, invitations, seats] = await Promise.all([
    supabase.rpc("team_members", { team: id }).then(dataOf),
    canManage
      ? supabase.from("invitations").select("email").eq("team_id", id).order("email").then(dataOf)
      : [],
    billing(supabase).rpc("my_seats", { owner_id: id }).then(dataOf),
  ]);
  return { members, invitations, seats };
}
