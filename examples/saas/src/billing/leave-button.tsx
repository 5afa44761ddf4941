import { useEffect, useState } from "react";
import { BillingRequestError } from "../../../../client/index.ts";
import { useWords } from "../words/words.tsx";
import { noteLeaving } from "./left-for-stripe.ts";

interface LeaveButtonProps {
  label: string;
  /** Gets the address at Stripe. */
  to: () => Promise<string>;
  isPrimary?: boolean;
}

/** A button that leads to a page at Stripe, or says why it does not. */
export function LeaveButton({ label, to, isPrimary }: LeaveButtonProps) {
  const { words } = useWords();
  const [state, setState] = useState<"idle" | "leaving" | BillingRequestError>("idle");

  // Back from Stripe by the browser's own button, the page is shown as it was left.
  useEffect(() => {
    const shown = () => setState("idle");
    window.addEventListener("pageshow", shown);
    return () => window.removeEventListener("pageshow", shown);
  }, []);

  async function leave() {
    setState("leaving");
    try {
      const url = await to();
      noteLeaving();
      location.assign(url);
    } catch (error) {
      setState(
        error instanceof BillingRequestError
          ? error
          : new BillingRequestError("unreachable", String(error), 0),
      );
    }
  }

  return (
    <span className="leave">
      <button
        type="button"
        className={isPrimary ? "primary" : undefined}
        disabled={state === "leaving"}
        onClick={leave}
      >
        {state === "leaving" ? words.leave.leaving : label}
      </button>
      {state instanceof BillingRequestError && (
        <span className="problem" role="alert">
          {textOf(state)}
        </span>
      )}
    </span>
  );

  function textOf(error: BillingRequestError): string {
    return (
      words.leave.codes[error.code] ??
      (error.isPassing ? words.leave.unreachable : words.leave.refused(error.code))
    );
  }
}
