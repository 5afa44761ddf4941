import { useEffect } from "react";
import { onBillingChange } from "../../../../client/index.ts";
import { supabase } from "../supabase.ts";
import type { Team } from "../team/use-teams.ts";
import { useLoaded, useReturnToTab } from "../use-loaded.ts";
import { takeReturn } from "./left-for-stripe.ts";
import { readAccess } from "./read-access.ts";

/** Milliseconds after a return from Stripe at which is read again: its webhook may come later than the person does. */
const AFTER_RETURN = [500, 1_500, 4_000, 10_000, 30_000];

/**
 * What the team may use and owes, read again whenever Realtime tells of a change, and whenever somebody comes back to
 * this tab. A card or a cancellation is told of by no version: after a return from Stripe it is asked for a few times.
 */
export function useAccess(team: Team) {
  const loaded = useLoaded(`${team.id} ${team.canManage}`, () => readAccess(team));
  const { reload } = loaded;
  useReturnToTab(reload);
  useEffect(() => onBillingChange(supabase, team.id, reload), [team.id, reload]);
  useEffect(() => {
    // One return, one series; it outlives this effect, and to read once too often does no harm.
    const returned = () => {
      if (takeReturn()) for (const ms of AFTER_RETURN) setTimeout(reload, ms);
    };
    returned();
    window.addEventListener("pageshow", returned);
    return () => window.removeEventListener("pageshow", returned);
  }, [reload]);
  return loaded;
}
