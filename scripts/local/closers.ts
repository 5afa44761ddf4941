/** What must be ended again, in the order it was started. */
export class Closers {
  readonly #steps: { what: string; close: () => void | Promise<void> }[] = [];
  #closing: Promise<void> | undefined;

  add(what: string, close: () => void | Promise<void>): void {
    this.#steps.push({ what, close });
  }

  /**
   * Ends everything, the last started first. One part that fails to end keeps none of the others running. Further
   * calls wait for the first.
   *
   * @throws AggregateError of what failed, once all else has ended
   */
  close(): Promise<void> {
    this.#closing ??= this.#closeAll();
    return this.#closing;
  }

  async #closeAll(): Promise<void> {
    const failures: Error[] = [];
    for (const { what, close } of this.#steps.reverse()) {
      try {
        await close();
      } catch (cause) {
        failures.push(new Error(`${what} did not end cleanly`, { cause }));
      }
    }
    if (failures.length > 0) throw new AggregateError(failures, failures.map(String).join("; "));
  }
}
