import type { SupabaseClient } from "@supabase/supabase-js";
import { openingAfter } from "./calendar.ts";
import type { DemoWorld } from "./world.ts";

export type Name = "Ada" | "Bo" | "Cleo" | "Dan" | "Eve" | "Finn";

/** A subscriber. */
export interface Person {
  name: Name;
  email: string;
  customer: string;
  /** The payment method that is charged. */
  card: string;
  subscription: string;
}

/** Everybody and everything in the story, filled in as it goes. */
export interface Cast {
  world: DemoWorld;
  /** Where the subscribers' clock stands; Unix seconds. */
  now: number;
  clock: string;
  /** Ada's browser, signed in. */
  ada: SupabaseClient;
  /** Somebody else's browser, signed in. */
  grace: SupabaseClient;
  adaId: string;
  price: string;
  people: Map<Name, Person>;
  /** When the first renewal failed: day 0 begins; Unix seconds. */
  dayZero: number;
  /** When the daily run comes, seconds into the day. */
  runsAt: number;
  /** Days on which the daily job did not run, counted from day 0. */
  daysDown: number[];
}

/** One thing that happens; `play` answers the result, as the database shows it. */
export interface Act {
  title: string;
  play(cast: Cast): Promise<string>;
}

/** When the story begins; Unix seconds. */
export const opening = openingAfter(Date.now() / 1000);

/** A cast before the curtain rises. */
export function newCast(world: DemoWorld): Cast {
  return {
    world,
    now: opening,
    clock: "",
    ada: world.browser(),
    grace: world.browser(),
    adaId: "",
    price: "",
    people: new Map(),
    dayZero: 0,
    runsAt: 0,
    daysDown: [],
  };
}

/** Somebody who has come on stage. */
export function person(cast: Cast, name: Name): Person {
  const found = cast.people.get(name);
  if (!found) throw new Error(`${name} is not on stage yet`);
  return found;
}
