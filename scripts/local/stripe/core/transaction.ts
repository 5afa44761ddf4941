import { StripeError } from "../http/errors.ts";
import { jsonCopy, restore } from "./events.ts";
import type { CurrentRequest, World } from "./world.ts";

/**
 * Do one thing somebody asked for, wholly or not at all: if it is refused, its events were never sent and what it
 * made is gone, unless the refusal itself is an effect (a decline).
 */
export function transact<T>(world: World, request: CurrentRequest, work: () => T): T {
  world.request = request;
  // What Stripe did by itself in the meantime is not this call's to take back.
  world.store.commit();
  world.events.begin();
  try {
    const result = work();
    world.events.commit();
    return result;
  } catch (error) {
    if (error instanceof StripeError && error.effectsStand) world.events.commit();
    else {
      world.events.discard();
      world.store.rollback(0);
    }
    throw error;
  } finally {
    world.store.commit();
    world.request = null;
  }
}

/** What a bank was asked happened, whatever becomes of the rest. */
function isPayment(kind: string): boolean {
  return /^(balance_transaction|charge|payment_intent)\b/.test(kind);
}

/**
 * A point to go back to inside a call whose payment has to succeed.
 * @returns undoes everything since, and puts these objects back; the attempt itself stays, with its events
 */
export function savepoint(world: World, ...objects: object[]): () => void {
  const events = world.events.mark();
  const inserted = world.store.mark();
  const copies = objects.map(jsonCopy);
  return () => {
    world.events.rollback(events, (event) => isPayment(event.type));
    world.store.rollback(inserted, isPayment);
    objects.forEach((object, index) => {
      restore(object, copies[index] ?? {});
    });
  };
}
