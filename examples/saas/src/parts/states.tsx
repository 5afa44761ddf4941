import type { ReactNode } from "react";
import type { Loaded } from "../use-loaded.ts";
import { useWords } from "../words/words.tsx";

export function Loading() {
  const { words } = useWords();
  return (
    <p className="loading" role="status">
      {words.loading}
    </p>
  );
}

/** What went wrong, and a way to try again. */
export function Failure({ text, retry }: { text?: string; retry?: () => void }) {
  const { words } = useWords();
  return (
    <div className="notice critical" role="alert">
      <p>{text ?? words.failed}</p>
      {retry && (
        <button type="button" onClick={retry}>
          {words.retry}
        </button>
      )}
    </div>
  );
}

interface WhenReadyProps<T> {
  of: Loaded<T> & { reload: () => void };
  children: (data: T) => ReactNode;
}

/** Shows what was read, or that it is on its way, or that it could not be read. */
export function WhenReady<T>({ of, children }: WhenReadyProps<T>) {
  if (of.state === "loading") return <Loading />;
  if (of.state === "failed") return <Failure retry={of.reload} />;
  return children(of.data);
}
