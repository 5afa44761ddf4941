import { useCallback, useEffect, useRef, useState } from "react";

export type Loaded<T> =
  | { state: "loading" }
  | { state: "failed"; error: unknown }
  | { state: "ready"; data: T };

/**
 * Reads something, and again whenever `key` or `revision` is another or `reload` is called. While it is read again what was known stays
 * on the page; a failure shows only where nothing is known.
 */
export function useLoaded<T>(
  key: string,
  load: () => Promise<T>,
  revision?: unknown,
): Loaded<T> & { reload: () => void } {
  const [known, setKnown] = useState<{ key: string; loaded: Loaded<T> }>({
    key,
    loaded: { state: "loading" },
  });
  const newest = useRef(load);
  newest.current = load;
  const turn = useRef(0);

  const reload = useCallback(() => {
    const mine = ++turn.current;
    // Answers may overtake one another: the last question counts.
    const isNewest = () => mine === turn.current;
    newest.current().then(
      (data) => isNewest() && setKnown({ key, loaded: { state: "ready", data } }),
      (error: unknown) =>
        isNewest() &&
        setKnown((it) =>
          it.key === key && it.loaded.state === "ready" ? it : { key, loaded: { state: "failed", error } },
        ),
    );
  }, [key]);

  // biome-ignore lint/correctness/useExhaustiveDependencies: another revision is a reason to read again.
  useEffect(() => {
    reload();
    return () => {
      turn.current++;
    };
  }, [reload, revision]);

  return { ...(known.key === key ? known.loaded : { state: "loading" }), reload };
}

/** Calls `reload` whenever somebody comes back to this tab. */
export function useReturnToTab(reload: () => void): void {
  useEffect(() => {
    const seen = () => {
      if (document.visibilityState === "visible") reload();
    };
    document.addEventListener("visibilitychange", seen);
    return () => document.removeEventListener("visibilitychange", seen);
  }, [reload]);
}

/** The data of an answer, or its error thrown. */
export function dataOf<T>({ data, error }: { data: T | null; error: unknown }): T {
  if (error) throw error;
  return data as T;
}
