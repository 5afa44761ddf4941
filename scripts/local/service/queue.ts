/** First in, first out, without moving what waits when the first is taken. */
export class Queue<T> {
  private entries: T[] = [];
  private head = 0;

  get length(): number {
    return this.entries.length - this.head;
  }

  push(entry: T): void {
    this.entries.push(entry);
  }

  pushAll(entries: Iterable<T>): void {
    for (const entry of entries) this.entries.push(entry);
  }

  shift(): T | undefined {
    if (this.length === 0) return undefined;
    const entry = this.entries[this.head];
    this.head += 1;
    // Let go of what was taken, now and then.
    if (this.head > 1024 && this.head * 2 > this.entries.length) {
      this.entries = this.entries.slice(this.head);
      this.head = 0;
    }
    return entry;
  }

  /** Take everything that waits. */
  drain(): T[] {
    const waiting = this.entries.slice(this.head);
    this.entries = [];
    this.head = 0;
    return waiting;
  }

  [Symbol.iterator](): Iterator<T> {
    return this.entries.slice(this.head)[Symbol.iterator]();
  }
}
