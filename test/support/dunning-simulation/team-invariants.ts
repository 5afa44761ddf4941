import type { Breach, Evidence, Invariant } from "./evidence.ts";
import type { TeamBreach } from "./teams.ts";

const seen =
  (rule: TeamBreach["rule"]): Invariant =>
  ({ simulation }) =>
    simulation.teams?.breaches.filter((breach) => breach.rule === rule) ?? [];

/** Every mail went to an address of its customer's, and none to somebody for being in a team. */
const mailsGoToCustomers: Invariant = ({ emails, mails, simulation, customerOf }: Evidence) => {
  const breaches: Breach[] = [];
  const users = new Set(simulation.teams?.addresses);
  for (const email of emails)
    for (const address of (mails.get(email.tag) ?? []).flatMap(({ to }) => to)) {
      if (!customerOf(email.customer_id).addresses.includes(address) || users.has(address))
        breaches.push({ customer: email.customer_id, what: `${email.template} went to ${address}` });
    }
  for (const { to, tags } of simulation.world.inbox.ledger.mails)
    for (const address of to)
      if (users.has(address))
        breaches.push({ customer: "", what: `${tags.template} went to ${address}, who is in a team` });
  return breaches;
};

/** What must hold besides, where teams pay. */
export const TEAM_INVARIANTS: Record<string, Invariant> = {
  "shows everybody what their place in a team allows at that moment": seen("reads"),
  "tells members that something is overdue, and managers what and where to pay": seen("banner"),
  "changes nobody's access when the account of another member goes": seen("access stays"),
  "gives Stripe as many seats as there are members, and has each paid once": seen("seats"),
  "writes to customers and to nobody in their teams": mailsGoToCustomers,
};
