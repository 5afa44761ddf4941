/** As many as a function of the database takes in one call. */
const ITEMS_A_CALL = 500;

/**
 * Hands items to a function of the database, 500 a call, and counts what it answers.
 *
 * @param call hands over a piece, and resolves with a row an item
 * @param onRow told of each row
 * @returns how many came to which outcome
 */
export async function countOutcomes<Item, Row extends { outcome: string }>(
  items: readonly Item[],
  call: (piece: readonly Item[]) => Promise<readonly Row[]>,
  onRow: (row: Row) => void = () => {},
): Promise<Record<string, number>> {
  const outcomes: Record<string, number> = {};
  for (let at = 0; at < items.length; at += ITEMS_A_CALL) {
    for (const row of await call(items.slice(at, at + ITEMS_A_CALL))) {
      outcomes[row.outcome] = (outcomes[row.outcome] ?? 0) + 1;
      onRow(row);
    }
  }
  return outcomes;
}
