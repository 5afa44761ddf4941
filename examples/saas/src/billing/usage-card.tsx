import { Card } from "../parts/page.tsx";
import { useWords } from "../words/words.tsx";
import type { Books } from "./read-books.ts";

export function UsageCard({ usage }: Pick<Books, "usage">) {
  const { words, date } = useWords();
  return (
    <Card title={words.billing.usage}>
      {usage.length === 0 && <p>{words.billing.noUsage}</p>}
      {usage.map(({ metric, used, usage_limit, period_end }) => {
        const name = words.billing.metrics[metric] ?? metric;
        return (
          <div className="meter" key={`${metric} ${period_end}`}>
            <p>
              <strong>{name}</strong> {words.billing.used(used, usage_limit)}{" "}
              {period_end && <span className="muted">{words.billing.until(date(period_end))}</span>}
            </p>
            {usage_limit !== null && (
              <progress aria-label={name} value={used} max={Math.max(usage_limit, 1)} />
            )}
          </div>
        );
      })}
    </Card>
  );
}
