/** Counts the requests that one process is answering, so that it can be ended between them. */
export class RequestsInFlight {
  #count = 0;
  #waiting = new Set<() => void>();

  /** One more; what it returns says, once, that it is over. */
  enter(): () => void {
    this.#count++;
    let isOver = false;
    return () => {
      if (isOver) return;
      isOver = true;
      this.#count--;
      if (this.#count === 0) this.#tell();
    };
  }

  /** Resolves when none is left, or after `limit` milliseconds. */
  async drained(limit: number): Promise<void> {
    if (this.#count === 0) return;
    await new Promise<void>((resolve) => {
      const timer = setTimeout(resolve, limit);
      this.#waiting.add(() => {
        clearTimeout(timer);
        resolve();
      });
    });
  }

  /** Lets go of whoever waits, as the process is ended all the same. */
  giveUp(): void {
    this.#tell();
  }

  #tell(): void {
    for (const resolve of this.#waiting) resolve();
    this.#waiting.clear();
  }
}
