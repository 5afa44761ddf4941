import type { SupabaseClient } from "@supabase/supabase-js";

/**
 * Calls `changed` whenever something changed of what an owner may use or owes, and after every (re)connection, as what
 * happened meanwhile is not sent again. Read again then what is shown.
 *
 * @returns ends it
 */
export function onBillingChange(supabase: SupabaseClient, ownerId: string, changed: () => void): () => void {
  const filter = `owner_id=eq.${ownerId}`;
  const channel = supabase
    // A name of its own each: two parts of one page may listen to the same owner.
    .channel(`billing-${ownerId}-${crypto.randomUUID()}`)
    .on("postgres_changes", { event: "*", schema: "billing", table: "entitlement_versions", filter }, changed)
    // Changes are told from this message on, which comes a little after SUBSCRIBED.
    .on("system", {}, (message: { extension?: string; status?: string }) => {
      if (message.extension === "postgres_changes" && message.status === "ok") changed();
    })
    .subscribe((status) => {
      if (status === "SUBSCRIBED") changed();
    });
  return () => {
    void supabase.removeChannel(channel);
  };
}

/** How long and how often to wait for what a webhook brings. */
export interface WaitOptions {
  /** When to give up, in milliseconds. 30 s where absent. */
  timeoutMs?: number;
  /** How often to ask where Realtime says nothing, in milliseconds. 3 s where absent. */
  everyMs?: number;
  /** Ends the wait. */
  signal?: AbortSignal;
}

/**
 * Waits until `ask` answers something: asks at once, with each change that Realtime tells of, and now and then, as
 * Realtime may be switched off. Used after a checkout, whose webhook arrives before or after the customer comes back.
 *
 * @returns the answer; undefined once the time is over or the wait was ended
 */
export async function waitForBilling<T>(
  supabase: SupabaseClient,
  ownerId: string,
  ask: () => Promise<T | undefined>,
  { timeoutMs = 30_000, everyMs = 3_000, signal }: WaitOptions = {},
): Promise<T | undefined> {
  const limit = new AbortController();
  const timer = setTimeout(() => limit.abort(), timeoutMs);
  const over = AbortSignal.any([limit.signal, ...(signal ? [signal] : [])]);
  let wake = () => {};
  let isDue = true;
  const stop = onBillingChange(supabase, ownerId, () => {
    isDue = true;
    wake();
  });
  try {
    while (!over.aborted) {
      isDue = false;
      // A question that fails is asked again: what was bought is not lost by it.
      const answer = await ask().catch(() => undefined);
      if (answer !== undefined) return answer;
      if (!isDue) await pause(everyMs, over, (resolve) => (wake = resolve));
    }
    return undefined;
  } finally {
    clearTimeout(timer);
    stop();
  }
}

function pause(ms: number, over: AbortSignal, onStart: (resolve: () => void) => void): Promise<void> {
  return new Promise((resolve) => {
    if (over.aborted) {
      resolve();
      return;
    }
    const finish = () => {
      clearTimeout(timer);
      over.removeEventListener("abort", finish);
      resolve();
    };
    const timer = setTimeout(finish, ms);
    over.addEventListener("abort", finish);
    onStart(finish);
  });
}
