import { Link } from "../router.tsx";
import { useWords } from "../words/words.tsx";

/** Leads to the page where plans are chosen. */
export function SeePlans({ isPrimary = false }: { isPrimary?: boolean }) {
  const { words } = useWords();
  return (
    <Link to="/pricing" className={isPrimary ? "button primary" : "button"}>
      {words.billing.seePlans}
    </Link>
  );
}
