import { Card } from "../parts/page.tsx";
import { useWords } from "../words/words.tsx";
import type { Books } from "./read-books.ts";

interface CreditsCardProps extends Pick<Books, "balance" | "entries"> {
  canManage: boolean;
}

/** The balance, for everybody in the team, and the ledger for who manages it. */
export function CreditsCard({ balance, entries, canManage }: CreditsCardProps) {
  const { words, date } = useWords();
  const { billing } = words;
  return (
    <Card title={billing.credits}>
      <p>
        <strong>{billing.balance(balance)}</strong>
      </p>
      {canManage && entries.length === 0 && <p>{billing.noCredits}</p>}
      {entries.length > 0 && (
        <table>
          <thead>
            <tr>
              <th scope="col">{billing.date}</th>
              <th scope="col">{billing.what}</th>
              <th scope="col">{billing.change_}</th>
              <th scope="col">{billing.after}</th>
            </tr>
          </thead>
          <tbody>
            {entries.map(({ id, credits, balance_after, reason, note, created_at }) => (
              <tr key={id}>
                <td data-label={billing.date}>{date(created_at)}</td>
                <td data-label={billing.what}>
                  <span>
                    {billing.reasons[reason] ?? reason}
                    {note && <span className="muted"> · {note}</span>}
                  </span>
                </td>
                <td data-label={billing.change_}>{credits > 0 ? `+${credits}` : String(credits)}</td>
                <td data-label={billing.after}>{balance_after}</td>
              </tr>
            ))}
          </tbody>
        </table>
      )}
    </Card>
  );
}
