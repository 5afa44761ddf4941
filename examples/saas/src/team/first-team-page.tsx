import { type FormEvent, useState } from "react";
import { Page } from "../parts/page.tsx";
import { Failure } from "../parts/states.tsx";
import { supabase } from "../supabase.ts";
import { useWords } from "../words/words.tsx";
import { Invitations } from "./invitations.tsx";
import type { Teams } from "./use-teams.ts";

interface FirstTeamPageProps {
  invitedTo: Teams["invitedTo"];
  changed: (team: string) => void;
}

/** Whoever belongs to no team yet makes one, or joins one that invites them. */
export function FirstTeamPage({ invitedTo, changed }: FirstTeamPageProps) {
  const { words } = useWords();
  const [hasFailed, setHasFailed] = useState(false);

  async function create(event: FormEvent<HTMLFormElement>) {
    event.preventDefault();
    const name = String(new FormData(event.currentTarget).get("name"));
    const { data, error } = await supabase.rpc("create_team", { name });
    setHasFailed(error !== null);
    if (data) changed(data);
  }

  return (
    <Page title={words.team.nameTitle}>
      <Invitations invitedTo={invitedTo} changed={changed} />
      <form className="card narrow" onSubmit={create}>
        <p>{words.team.nameLead}</p>
        {hasFailed && <Failure />}
        <label>
          {words.team.name}
          <input name="name" maxLength={80} required />
        </label>
        <button type="submit" className="primary">
          {words.team.create}
        </button>
      </form>
    </Page>
  );
}
