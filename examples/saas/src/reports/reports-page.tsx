import { type FormEvent, useState } from "react";
import type { Access } from "../billing/read-access.ts";
import { Wall } from "../billing/wall.tsx";
import { Card, Page } from "../parts/page.tsx";
import { Failure, WhenReady } from "../parts/states.tsx";
import { supabase } from "../supabase.ts";
import type { Team } from "../team/use-teams.ts";
import { dataOf, useLoaded } from "../use-loaded.ts";
import { useWords } from "../words/words.tsx";

interface ReportsPageProps {
  team: Team;
  access: Access;
}

/** What the team pays for. The wall is for people; what keeps the rows shut is the policy of the table. */
export function ReportsPage({ team, access }: ReportsPageProps) {
  const { words } = useWords();
  return (
    <Page title={words.reports.title}>
      {access.features.includes("reports") ? <Reports team={team} /> : <Wall team={team} access={access} />}
    </Page>
  );
}

/** Duebase's refusals, by SQLSTATE: over the limit of the plan, and not enough credits. */
const OVER_LIMIT = "DU010";
const TOO_FEW_CREDITS = "DU015";

function Reports({ team }: { team: Team }) {
  const { words, date } = useWords();
  const reports = useLoaded(team.id, () => readReports(team));
  const [problem, setProblem] = useState<string>();
  // The same for a button that is pressed twice: it is counted once.
  const [requestId, setRequestId] = useState(() => crypto.randomUUID());

  async function create(event: FormEvent<HTMLFormElement>) {
    event.preventDefault();
    const form = event.currentTarget;
    const title = String(new FormData(form).get("title"));
    const { error } = await supabase.rpc("create_report", { team: team.id, title, request_id: requestId });
    if (error) {
      const known: Record<string, string> = {
        [OVER_LIMIT]: words.reports.limit,
        [TOO_FEW_CREDITS]: words.reports.noCredits,
      };
      setProblem(known[error.code] ?? words.reports.failed);
      return;
    }
    setProblem(undefined);
    setRequestId(crypto.randomUUID());
    form.reset();
    reports.reload();
  }

  return (
    <>
      <Card title={words.reports.new}>
        {problem && <Failure text={problem} />}
        <form onSubmit={create}>
          <label>
            {words.reports.name}
            <input name="title" maxLength={120} required />
          </label>
          <p className="muted">{words.reports.cost}</p>
          <button type="submit" className="primary">
            {words.reports.create}
          </button>
        </form>
      </Card>
      <WhenReady of={reports}>
        {(rows) =>
          rows.length === 0 ? (
            <p>{words.reports.empty}</p>
          ) : (
            <ul className="rows">
              {rows.map(({ id, title, created_at }) => (
                <li key={id}>
                  <span>{title}</span>
                  <span className="muted">{date(created_at)}</span>
                </li>
              ))}
            </ul>
          )
        }
      </WhenReady>
    </>
  );
}

async function readReports(team: Team) {
  return supabase
    .from("reports")
    .select("id, title, created_at")
    .eq("team_id", team.id)
    .order("id", { ascending: false })
    .limit(50)
    .then(dataOf);
}
