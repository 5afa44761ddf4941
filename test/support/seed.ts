/**
 * The seed of random tests. `npm test` has the same one each time, so that a difference comes from a change of the code.
 * `npm run soak` draws one and prints it, and DUEBASE_SEED plays that run again.
 */
export const SEED = Number(process.env.DUEBASE_SEED ?? 20_261_101);
if (!Number.isSafeInteger(SEED) || SEED < 0)
  throw new Error(
    `DUEBASE_SEED is ${process.env.DUEBASE_SEED}; it takes a whole number, as the run to play again printed it`,
  );
