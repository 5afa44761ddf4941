/** Numbers from 0 up to, not including, 1 that a seed fixes, the same on every machine (mulberry32). */
export function seededRandom(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

/** In an order that a seed fixes. */
export function shuffled<T>(list: T[], seed: number): T[] {
  const random = seededRandom(seed);
  return list
    .map((element) => ({ element, rank: random() }))
    .sort((left, right) => left.rank - right.rank)
    .map(({ element }) => element);
}
