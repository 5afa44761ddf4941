import type { User } from "@supabase/supabase-js";
import { useState } from "react";
import { supabase } from "../supabase.ts";
import { dataOf, useLoaded, useReturnToTab } from "../use-loaded.ts";

export interface Team {
  id: string;
  name: string;
  /** Whether the signed-in user buys and pays for it. */
  canManage: boolean;
}

export interface Teams {
  mine: Team[];
  /** Teams that wait for an answer to their invitation. */
  invitedTo: { id: string; name: string }[];
}

const KEPT = "example:team";

/** The teams of the signed-in user, and which of them is on the page; read again when somebody comes back to this tab. */
export function useTeams(user: User) {
  const loaded = useLoaded(user.id, () => readTeams(user));
  const [chosen, setChosen] = useState(localStorage.getItem(KEPT));
  useReturnToTab(loaded.reload);
  const mine = loaded.state === "ready" ? loaded.data.mine : [];
  return {
    ...loaded,
    team: mine.find(({ id }) => id === chosen) ?? mine[0],
    choose(id: string) {
      localStorage.setItem(KEPT, id);
      setChosen(id);
    },
  };
}

async function readTeams(user: User): Promise<Teams> {
  const [teams, memberships] = await Promise.all([
    supabase.from("teams").select("id, name").order("name").then(dataOf),
    supabase.from("members").select("team_id, role").eq("user_id", user.id).then(dataOf),
  ]);
  const roles = new Map(memberships.map((it) => [it.team_id, it.role]));
  return {
    mine: teams
      .filter(({ id }) => roles.has(id))
      .map(({ id, name }) => ({ id, name, canManage: roles.get(id) !== "member" })),
    invitedTo: teams.filter(({ id }) => !roles.has(id)),
  };
}
