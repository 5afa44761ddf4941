import type { Team } from "../team/use-teams.ts";
import { useWords } from "../words/words.tsx";
import { methodInText } from "./method-name.ts";
import { type Access, isRunning } from "./read-access.ts";
import { UpdateMethodButton } from "./update-method-button.tsx";

/** The card will not be good any more on the day of the next payment. */
export function CardExpiring({ team, access }: { team: Team; access: Access }) {
  const { mails, date, month } = useWords();
  const subscription = access.subscriptions.find((it) => isRunning(it) && it.cancelAt === null);
  const { paymentMethod: card } = access;
  if (!subscription?.periodEnd || !card?.expires || access.overdue.length > 0) return null;
  const { month: last, year } = card.expires;
  // A card is good until the end of its month.
  if (Date.UTC(year, last, 1) > Date.parse(subscription.periodEnd)) return null;
  const said = mails.cardExpiring;
  return (
    <section className="banner attention" aria-label={said.status}>
      <p className="strong">{said.title}</p>
      <p>
        {said.body({
          method: methodInText(mails, card),
          expires: month(year, last),
          product: subscription.product,
        })}{" "}
        {said.nextPayment(date(subscription.periodEnd))} {said.note}
      </p>
      <UpdateMethodButton team={team} />
    </section>
  );
}
