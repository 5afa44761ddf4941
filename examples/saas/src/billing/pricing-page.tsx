import { useState } from "react";
import { billing } from "../../../../client/index.ts";
import { Page } from "../parts/page.tsx";
import { WhenReady } from "../parts/states.tsx";
import { useLocation } from "../router.tsx";
import { supabase } from "../supabase.ts";
import type { Team } from "../team/use-teams.ts";
import { dataOf, useLoaded } from "../use-loaded.ts";
import { useWords } from "../words/words.tsx";
import { LeaveButton } from "./leave-button.tsx";
import { type Access, isRunning } from "./read-access.ts";
import { checkoutOf, portalOf } from "./stripe-pages.ts";

interface PricingPageProps {
  team: Team;
  access: Access;
}

export function PricingPage({ team, access }: PricingPageProps) {
  const { words, language } = useWords();
  const { query } = useLocation();
  const plans = useLoaded(team.id, () => readPlans(team));
  const [wished, setInterval] = useState("month");
  const [chosen, setCurrency] = useState<string>();

  return (
    <Page title={words.pricing.title}>
      <p>{words.pricing.lead}</p>
      {query.get("left") === "checkout" && (
        <p className="notice" role="status">
          {words.pricing.canceled}
        </p>
      )}
      {!team.canManage && <p className="notice">{words.pricing.onlyManagers}</p>}
      <WhenReady of={plans}>
        {({ prices, seats }) => {
          const currencies = [...new Set(prices.map((it) => it.currency))].sort();
          const running = access.subscriptions.find(isRunning);
          const nearest = language === "de" ? "eur" : "usd";
          // Stripe bills a customer in one currency: the one that the team pays in already.
          const currency =
            running?.price?.currency ?? chosen ?? (currencies.includes(nearest) ? nearest : currencies[0]);
          const sold = prices.filter((it) => it.currency === currency);
          const intervals = [...new Set(sold.map((it) => it.interval))];
          const interval = intervals.includes(wished) ? wished : intervals[0];
          const shown = sold.filter((it) => it.interval === interval);
          if (shown.length === 0) return <p>{words.pricing.empty}</p>;
          return (
            <>
              <div className="choices">
                <fieldset>
                  <legend>{words.pricing.interval}</legend>
                  {intervals.map((it) => (
                    <label key={it}>
                      <input
                        type="radio"
                        name="interval"
                        checked={it === interval}
                        onChange={() => setInterval(it)}
                      />
                      {words.pricing.intervals[it] ?? it}
                    </label>
                  ))}
                </fieldset>
                {!running && (
                  <label>
                    {words.pricing.currency}
                    <select value={currency} onChange={(event) => setCurrency(event.target.value)}>
                      {currencies.map((it) => (
                        <option key={it} value={it}>
                          {it.toUpperCase()}
                        </option>
                      ))}
                    </select>
                  </label>
                )}
              </div>
              <ul className="plans">
                {shown.map((plan) => (
                  <PlanCard
                    key={plan.price}
                    plan={plan}
                    team={team}
                    seats={seats}
                    running={running}
                    hadBefore={access.subscriptions.some((it) => it.productId === plan.product)}
                  />
                ))}
              </ul>
            </>
          );
        }}
      </WhenReady>
    </Page>
  );
}

type Plan = Awaited<ReturnType<typeof readPlans>>["prices"][number];

interface PlanCardProps {
  plan: Plan;
  team: Team;
  seats: number;
  running: Access["subscriptions"][number] | undefined;
  /** Whether the team has had the product, so that there may be no trial once more. */
  hadBefore: boolean;
}

function PlanCard({ plan, team, seats, running, hadBefore }: PlanCardProps) {
  const { words, mails, money } = useWords();
  const price = mails.common.price({
    amount: money(plan.unit_amount, plan.currency),
    interval: plan.interval as "month",
    count: plan.interval_count,
  });
  return (
    <li className="card plan">
      <h2>{plan.name}</h2>
      <p className="price">
        {price} {plan.is_per_seat && words.pricing.perSeat}
      </p>
      {plan.description && <p>{plan.description}</p>}
      <ul className="features">
        {plan.features.map((it) => (
          <li key={it}>{words.pricing.features[it] ?? it}</li>
        ))}
      </ul>
      {plan.trial_days > 0 && !(plan.has_one_trial && hadBefore) && (
        <p>{words.pricing.trial(plan.trial_days)}</p>
      )}
      {running?.price?.id === plan.price ? (
        <p className="muted">{words.pricing.current}</p>
      ) : (
        team.canManage && (
          <LeaveButton
            isPrimary={!running}
            label={running ? words.pricing.change(plan.name) : words.pricing.buy(plan.name)}
            to={() =>
              running
                ? portalOf(team, "subscription_update", running.id)
                : checkoutOf(team, plan.price, plan.is_per_seat ? Math.max(seats, 1) : undefined)
            }
          />
        )
      )}
    </li>
  );
}

async function readPlans(team: Team) {
  const [prices, seats] = await Promise.all([
    supabase.rpc("plans").then(dataOf),
    billing(supabase).rpc("my_seats", { owner_id: team.id }).then(dataOf),
  ]);
  return { prices, seats: seats.used ?? 1 };
}
