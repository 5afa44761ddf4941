/** Something Stripe will do by itself when an object's clock gets there. Plain data, so it survives a restart. */
export interface Job {
  kind: string;
  /** Id of the object it is about. */
  id: string;
  /** Seconds. */
  at: number;
  /** The test clock it waits for; an empty string is real time. */
  clock: string;
  /** Order among jobs due at the same second. */
  seq: number;
}

function before(left: Job, right: Job): boolean {
  return left.at < right.at || (left.at === right.at && left.seq < right.seq);
}

/** Jobs of one clock, the earliest on top (a binary heap). */
class Heap {
  private readonly jobs: Job[] = [];

  peek(): Job | undefined {
    return this.jobs[0];
  }

  push(job: Job): void {
    this.jobs.push(job);
    let index = this.jobs.length - 1;
    while (index > 0) {
      const parent = (index - 1) >> 1;
      if (!this.swapIfBefore(index, parent)) break;
      index = parent;
    }
  }

  pop(): void {
    const last = this.jobs.pop();
    if (last === undefined || this.jobs.length === 0) return;
    this.jobs[0] = last;
    let index = 0;
    for (;;) {
      const left = 2 * index + 1;
      const [first, second] = [this.jobs[left], this.jobs[left + 1]];
      if (first === undefined) return;
      const child = second !== undefined && before(second, first) ? left + 1 : left;
      if (!this.swapIfBefore(child, index)) return;
      index = child;
    }
  }

  private swapIfBefore(lower: number, upper: number): boolean {
    const [low, up] = [this.jobs[lower], this.jobs[upper]];
    if (low === undefined || up === undefined || !before(low, up)) return false;
    this.jobs[lower] = up;
    this.jobs[upper] = low;
    return true;
  }
}

/** What is due when, by clock. At most one job of a kind an object: setting it again moves it. */
export class Jobs {
  private readonly byKey = new Map<string, Job>();
  private readonly heaps = new Map<string, Heap>();
  private seq = 0;
  private readonly touched = new Set<string>();

  /** Clocks that got new jobs since the last time this was asked. */
  takeTouched(): string[] {
    const clocks = [...this.touched];
    this.touched.clear();
    return clocks;
  }

  /** Plan, move, or (with null) drop a job. */
  set(kind: string, id: string, clock: string | null, at: number | null): void {
    const key = `${kind} ${id}`;
    const known = this.byKey.get(key);
    if (at === null) {
      this.byKey.delete(key);
      return;
    }
    if (known?.at === at) return;
    this.seq += 1;
    this.add({ kind, id, clock: clock ?? "", at, seq: this.seq });
  }

  private add(job: Job): void {
    this.byKey.set(`${job.kind} ${job.id}`, job);
    this.touched.add(job.clock);
    let heap = this.heaps.get(job.clock);
    if (!heap) {
      heap = new Heap();
      this.heaps.set(job.clock, heap);
    }
    heap.push(job);
  }

  /** The earliest job of a clock. */
  next(clock: string): Job | undefined {
    const heap = this.heaps.get(clock);
    for (let job = heap?.peek(); job; job = heap?.peek()) {
      // A job that was moved or dropped stays in the heap until it comes up.
      if (this.byKey.get(`${job.kind} ${job.id}`) === job) return job;
      heap?.pop();
    }
    return undefined;
  }

  /** Take the earliest job of a clock if it is due. */
  take(clock: string, now: number): Job | undefined {
    const job = this.next(clock);
    if (!job || job.at > now) return undefined;
    this.byKey.delete(`${job.kind} ${job.id}`);
    this.heaps.get(clock)?.pop();
    return job;
  }

  dump(): Job[] {
    return [...this.byKey.values()];
  }

  restore(jobs: Job[]): void {
    for (const job of jobs) {
      this.seq = Math.max(this.seq, job.seq);
      this.add(job);
    }
  }
}
