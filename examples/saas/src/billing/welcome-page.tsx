import { useCallback, useEffect, useState } from "react";
import { waitForBilling } from "../../../../client/index.ts";
import { Page } from "../parts/page.tsx";
import { Link } from "../router.tsx";
import { supabase } from "../supabase.ts";
import type { Team } from "../team/use-teams.ts";
import { useWords } from "../words/words.tsx";
import { type Access, readFeatures } from "./read-access.ts";

/** Stripe's page leads here once it is paid. The webhook that says so may be faster or slower than the browser. */
export function WelcomePage({ team: { id }, access }: { team: Team; access: Access }) {
  const { words } = useWords();
  const [waited, setState] = useState<"waiting" | "ready" | "late">("waiting");
  // What comes after the wait opens the page as well.
  const state = access.features.length > 0 ? "ready" : waited;

  const wait = useCallback(
    async (signal: AbortSignal) => {
      setState("waiting");
      const features = await waitForBilling(supabase, id, () => anyFeatures(id), { signal });
      if (!signal.aborted) setState(features === undefined ? "late" : "ready");
    },
    [id],
  );
  useEffect(() => {
    const left = new AbortController();
    void wait(left.signal);
    return () => left.abort();
  }, [wait]);

  return (
    <Page title={words.welcome.title}>
      <div className="card" role="status">
        <p>{words.welcome[state]}</p>
        {state === "late" && (
          <button type="button" onClick={() => wait(new AbortController().signal)}>
            {words.welcome.again}
          </button>
        )}
        {state === "ready" && (
          <Link to="/reports" className="button primary">
            {words.welcome.go}
          </Link>
        )}
      </div>
    </Page>
  );
}

/** Undefined while the team may use nothing yet: that is waited for. */
async function anyFeatures(teamId: string): Promise<string[] | undefined> {
  const features = await readFeatures(teamId);
  return features.length > 0 ? features : undefined;
}
