import { setTimeout as sleep } from "node:timers/promises";
import { describe, expect, it } from "vitest";
import { seededRandom } from "../../../scripts/local/service/random.ts";
import { DatabaseUnavailableError, InvalidEventError } from "../../../supabase/functions/_duebase/errors.ts";
import type { ReceivedEvent } from "../../../supabase/functions/duebase-stripe-webhook/event.ts";
import {
  createGatherer,
  GATHER_LIMITS,
  type GatherLimits,
} from "../../../supabase/functions/duebase-stripe-webhook/gather.ts";
import { createTurns } from "../../../supabase/functions/duebase-stripe-webhook/turns.ts";
import { SEED } from "../../support/seed.ts";

const event = (id: string, turn = `cus_${id}`): ReceivedEvent => ({
  id,
  type: "invoice.paid",
  customer: turn,
  turn,
  json: JSON.stringify({ id }),
});

/** The ids that a call carries. */
const idsIn = (json: string): string[] =>
  [JSON.parse(json) as unknown].flat().map((one) => (one as { id: string }).id);

/** A database that keeps what it is given, and answers when and as the test says. */
function database(limits: Partial<GatherLimits> = {}) {
  const stored = new Set<string>();
  const calls: string[][] = [];
  const behaviour = {
    /** What happens before anything is stored. */
    before: async (_ids: string[]) => {},
    /** Ids that a batch leaves out. */
    left: new Set<string>(),
  };
  const store = (id: string) => {
    if (stored.has(id)) return "duplicate";
    stored.add(id);
    return "processed";
  };
  const storeEvent = createGatherer(
    {
      async receiveEvent(json) {
        const [id = ""] = idsIn(json);
        calls.push([id]);
        await behaviour.before([id]);
        return store(id);
      },
      async receiveEvents(json) {
        const ids = idsIn(json);
        calls.push(ids);
        await behaviour.before(ids);
        return ids.map((id) => (behaviour.left.has(id) ? "retry_single" : store(id)));
      },
      takeTurn: createTurns(),
    },
    { ...GATHER_LIMITS, ...limits },
  );
  return { storeEvent, stored, calls, behaviour };
}

/** Something that holds whoever awaits it until it is opened. */
function gate() {
  let open = () => {};
  const opened = new Promise<void>((resolve) => {
    open = resolve;
  });
  return { opened, open: () => open() };
}

describe("an event", () => {
  it("goes to the database at once where none is on its way", async () => {
    const { storeEvent, calls } = database();
    const answer = storeEvent(event("evt_1"));
    expect(calls).toEqual([["evt_1"]]);
    expect(await answer).toBe("processed");
    expect(await storeEvent(event("evt_1"))).toBe("duplicate");
  });

  it("goes together with all that came while another was on its way, and gets its own outcome", async () => {
    const { storeEvent, calls, behaviour, stored } = database();
    const { opened, open } = gate();
    behaviour.before = () => opened;
    stored.add("evt_3");
    const answers = ["evt_1", "evt_2", "evt_3", "evt_4"].map((id) => storeEvent(event(id)));
    open();
    expect(await Promise.all(answers)).toEqual(["processed", "processed", "duplicate", "processed"]);
    expect(calls).toEqual([["evt_1"], ["evt_2", "evt_3", "evt_4"]]);
  });

  it("that a batch leaves out is sent alone, and nobody waits for it", async () => {
    const { storeEvent, calls, behaviour } = database();
    const { opened, open } = gate();
    behaviour.left.add("evt_2");
    behaviour.before = async (ids) => {
      if (ids.join() === "evt_2") await opened;
    };
    const answers = ["evt_1", "evt_2", "evt_3"].map((id) => storeEvent(event(id)));
    expect(await answers[2]).toBe("processed");
    expect(await storeEvent(event("evt_4"))).toBe("processed");
    open();
    expect(await answers[1]).toBe("processed");
    expect(calls).toEqual([["evt_1"], ["evt_2", "evt_3"], ["evt_2"], ["evt_4"]]);
  });

  it("waits no longer than the bound for the answer to what went before", async () => {
    const { storeEvent, behaviour } = database({ wait: 20 });
    const { opened, open } = gate();
    behaviour.before = async (ids) => {
      if (ids.includes("evt_slow")) await opened;
    };
    const slow = storeEvent(event("evt_slow"));
    const began = performance.now();
    expect(await storeEvent(event("evt_2"))).toBe("processed");
    expect(performance.now() - began).toBeLessThan(2_000);
    open();
    await slow;
  });
});

describe("a batch", () => {
  it("is bounded by count and by size, and one event always fits", async () => {
    const { storeEvent, calls } = database({ events: 3, size: 4 * event("evt_1").json.length, calls: 2 });
    const large = { ...event("evt_9"), json: JSON.stringify({ id: "evt_9", filling: "x".repeat(200) }) };
    const events = ["evt_1", "evt_2", "evt_3", "evt_4", "evt_5", "evt_6"].map((id) => event(id));
    await Promise.all([...events, large].map((one) => storeEvent(one)));
    expect(calls.flat().sort()).toEqual(["evt_1", "evt_2", "evt_3", "evt_4", "evt_5", "evt_6", "evt_9"]);
    expect(Math.max(...calls.map((ids) => ids.length))).toBe(3);
    expect(calls).toContainEqual(["evt_9"]);
  });

  it("that fails is sent event by event: the one at fault is refused, the others are stored", async () => {
    const { storeEvent, behaviour, stored } = database();
    behaviour.before = async (ids) => {
      if (ids.includes("evt_bad")) throw new InvalidEventError("unstorable_event", "no");
    };
    const ids = ["evt_1", "evt_2", "evt_bad", "evt_3"];
    const outcomes = await Promise.allSettled(ids.map((id) => storeEvent(event(id))));
    expect(outcomes.map(({ status }) => status)).toEqual(["fulfilled", "fulfilled", "rejected", "fulfilled"]);
    expect(outcomes[2]).toMatchObject({ reason: { code: "unstorable_event", status: 400 } });
    expect([...stored].sort()).toEqual(["evt_1", "evt_2", "evt_3"]);
  });

  it("whose answer is none is no success: each event is asked for by itself", async () => {
    let singles = 0;
    const storeEvent = createGatherer({
      async receiveEvent() {
        singles++;
        return "processed";
      },
      receiveEvents: async () => ["processed"],
      takeTurn: createTurns(),
    });
    const outcomes = await Promise.all(["evt_1", "evt_2", "evt_3"].map((id) => storeEvent(event(id))));
    expect(outcomes).toEqual(["processed", "processed", "processed"]);
    expect(singles).toBe(3);
  });

  it("that failed too late is not begun again: 503, and Stripe sends its events again", async () => {
    const { storeEvent, behaviour, calls } = database({ patience: 30 });
    behaviour.before = async (ids) => {
      if (ids.length === 1) return;
      await sleep(60);
      throw new DatabaseUnavailableError({ reason: "too slow" });
    };
    const [first, ...others] = ["evt_1", "evt_2", "evt_3"].map((id) => storeEvent(event(id)));
    expect(await first).toBe("processed");
    for (const one of others) await expect(one).rejects.toMatchObject({ status: 503 });
    expect(calls).toEqual([["evt_1"], ["evt_2", "evt_3"]]);
  });
});

describe("a database that does not answer", () => {
  it("gets only so many calls at once, and what waits too long is sent away with 503", async () => {
    const { storeEvent, behaviour, calls } = database({ calls: 2, wait: 5, patience: 60 });
    const { opened, open } = gate();
    behaviour.before = () => opened;
    const under = [storeEvent(event("evt_1")), storeEvent(event("evt_2")), storeEvent(event("evt_3"))];
    await sleep(20);
    const late = [storeEvent(event("evt_4")), storeEvent(event("evt_5"))];
    for (const one of late)
      await expect(one).rejects.toMatchObject({ code: "database_unavailable", status: 503 });
    expect(calls.length).toBeLessThanOrEqual(3);
    open();
    expect(await Promise.all(under)).toEqual(["processed", "processed", "processed"]);
  });

  it("has only so much waiting for it, in events and in size", async () => {
    const few = database({ waitingEvents: 2 });
    const small = database({ waitingSize: 2 * event("evt_1").json.length });
    for (const { storeEvent, behaviour } of [few, small]) {
      const { opened, open } = gate();
      behaviour.before = () => opened;
      const answers = ["evt_1", "evt_2", "evt_3", "evt_4"].map((id) => storeEvent(event(id)));
      await expect(answers[3]).rejects.toMatchObject({ code: "database_unavailable" });
      open();
      expect(await Promise.all(answers.slice(0, 3))).toEqual(["processed", "processed", "processed"]);
    }
  });
});

const seeds = Array.from({ length: 20 }, (_, run) => SEED + run);
it.each(seeds)(
  "every event that is answered with an outcome is stored, whatever fails meanwhile (seed %i)",
  async (seed) => {
    const random = seededRandom(seed);
    const { storeEvent, stored, behaviour } = database({ events: 7, wait: 3, calls: 3, patience: 400 });
    behaviour.before = async (ids) => {
      await sleep(random() * 4);
      if (random() < 0.2) throw new DatabaseUnavailableError({ reason: "down" });
      if (ids.some((id) => id.endsWith("13"))) throw new InvalidEventError("unstorable_event", "no");
      behaviour.left = new Set(ids.filter(() => random() < 0.1));
    };
    const answers: { id: string; answer: { status: string } }[] = [];
    const sent: Promise<void>[] = [];
    for (let n = 0; n < 120; n++) {
      const id = `evt_${n}`;
      sent.push(
        Promise.allSettled([storeEvent(event(id, `cus_${n % 9}`))]).then(([answer]) => {
          answers.push({ id, answer });
          if (answer.status === "fulfilled") expect(stored.has(id)).toBe(true);
        }),
      );
      if (random() < 0.2) await sleep(random() * 5);
    }
    await Promise.all(sent);
    expect(answers).toHaveLength(120);
    expect(answers.find(({ id }) => id === "evt_13")?.answer.status).toBe("rejected");
  },
);
