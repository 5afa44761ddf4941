import type { Team } from "../team/use-teams.ts";
import { useWords } from "../words/words.tsx";
import { LeaveButton } from "./leave-button.tsx";
import { portalOf } from "./stripe-pages.ts";

/** Leads to Stripe's page where the team gives another payment method. */
export function UpdateMethodButton({ team }: { team: Team }) {
  const { mails } = useWords();
  return (
    <LeaveButton
      label={mails.common.updatePaymentMethod}
      to={() => portalOf(team, "payment_method_update")}
    />
  );
}
