// The platform ends a function with its answer unless it is told of work that goes on. Elsewhere it just goes on.
const platform = (globalThis as { EdgeRuntime?: { waitUntil(work: Promise<unknown>): void } }).EdgeRuntime;

/** Keeps a function that serves alive until work that outlasts its answer is done. */
export function keepAliveFor(work: Promise<unknown>): void {
  platform?.waitUntil(work);
}
