import type { StripeEvent } from "./wire.ts";

/** Stripe's event list goes back this far. */
const retentionSeconds = 30 * 24 * 3600;

/** An event with what Stripe does not show: when it was really made, and who has yet to get it. */
export interface LoggedEvent {
  event: StripeEvent;
  seq: number;
  /** Real seconds. */
  recordedAt: number;
}

/** Every event of the account, in the order they happened; tells its listener of each new one. */
export class EventLog {
  private entries: LoggedEvent[] = [];
  private readonly byId = new Map<string, LoggedEvent>();
  private seq = 0;
  /** Set by the webhook sender; returns to how many endpoints the event will go. */
  onEvent: (event: StripeEvent) => number = () => 0;

  private buffer: [StripeEvent, number][] | null = null;

  /** Keep events back until it is sure that they happened. */
  begin(): void {
    this.buffer = [];
  }

  commit(): void {
    const kept = this.buffer ?? [];
    this.buffer = null;
    for (const [event, recordedAt] of kept) this.append(event, recordedAt);
  }

  discard(): void {
    this.buffer = null;
  }

  /** A point to go back to. */
  mark(): number {
    return this.buffer?.length ?? 0;
  }

  /** Take back the events since a point, except those that happened all the same. */
  rollback(mark: number, stands: (event: StripeEvent) => boolean): void {
    if (!this.buffer) return;
    const since = this.buffer.splice(mark);
    this.buffer.push(...since.filter(([event]) => stands(event)));
  }

  append(event: StripeEvent, recordedAt: number): void {
    if (this.buffer) {
      this.buffer.push([event, recordedAt]);
      return;
    }
    this.seq += 1;
    const entry = { event, seq: this.seq, recordedAt };
    this.entries.push(entry);
    this.byId.set(event.id, entry);
    event.pending_webhooks = this.onEvent(event);
  }

  get(id: string): StripeEvent | undefined {
    return this.byId.get(id)?.event;
  }

  /** Newest first, no older than 30 days. */
  recent(now: number): LoggedEvent[] {
    return this.entries
      .filter((entry) => entry.recordedAt > now - retentionSeconds)
      .sort((left, right) => right.event.created - left.event.created || right.seq - left.seq);
  }

  /** In the order they happened. */
  all(): StripeEvent[] {
    return this.entries.map((entry) => entry.event);
  }

  dump(now: number): LoggedEvent[] {
    return this.entries.filter((entry) => entry.recordedAt > now - retentionSeconds);
  }

  restore(entries: LoggedEvent[]): void {
    this.entries = entries;
    for (const entry of entries) {
      this.byId.set(entry.event.id, entry);
      this.seq = Math.max(this.seq, entry.seq);
    }
  }
}
