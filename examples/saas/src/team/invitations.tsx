import { useState } from "react";
import { supabase } from "../supabase.ts";
import { useWords } from "../words/words.tsx";
import type { Teams } from "./use-teams.ts";

interface InvitationsProps {
  invitedTo: Teams["invitedTo"];
  changed: (team: string) => void;
}

/** Invitations that wait for the signed-in user's answer. */
export function Invitations({ invitedTo, changed }: InvitationsProps) {
  const { words } = useWords();
  const [problem, setProblem] = useState<string>();

  async function accept(team: string) {
    const { error } = await supabase.rpc("accept_invitation", { team });
    // The last seat may have been taken since.
    setProblem(error ? (error.code === "23514" ? words.team.noSeat : words.failed) : undefined);
    if (!error) changed(team);
  }

  return invitedTo.map(({ id, name }) => (
    <section className="notice" key={id} aria-label={words.team.invitedTo(name)}>
      <p>{words.team.invitedTo(name)}</p>
      {problem && <p role="alert">{problem}</p>}
      <button type="button" className="primary" onClick={() => accept(id)}>
        {words.team.accept(name)}
      </button>
    </section>
  ));
}
