/**
 * What random tests draw from. `npm test` draws the same each time, so that a change is what makes a difference;
 * `npm run soak` draws anew and prints its seed, and DUEBASE_SEED plays that again.
 */
export const SEED = Number(process.env.DUEBASE_SEED ?? 20_261_101);
if (!Number.isSafeInteger(SEED) || SEED < 0)
  throw new Error(
    `DUEBASE_SEED is ${process.env.DUEBASE_SEED}; it takes a whole number, as the run to play again printed it`,
  );
