import type { SupabaseClient } from "@supabase/supabase-js";
import { describe, expect, test, vi } from "vitest";
import { onBillingChange, openCheckout, openPortal, severityOf, waitForBilling } from "../../client/index.ts";

const wish = { price: "price_1", successUrl: "/welcome", cancelUrl: "/pricing" };

/** A client whose functions answer with this. */
const answering = (answer: object): SupabaseClient =>
  ({ functions: { invoke: vi.fn(async () => answer) } }) as unknown as SupabaseClient;

const refusal = (status: number, body: unknown, headers: Record<string, string> = {}) =>
  answering({ data: null, error: { context: Response.json(body, { status, headers }) } });

describe("a page at Stripe", () => {
  test("is asked for with what the function takes, and nothing that was left out", async () => {
    const client = answering({ data: { url: "https://checkout.example/1" }, error: null });
    expect(await openCheckout(client, { ...wish, ownerId: "team" })).toBe("https://checkout.example/1");
    const [name, { body }] = vi.mocked(client.functions.invoke).mock.calls[0] as [string, { body: object }];
    expect([name, JSON.parse(JSON.stringify(body))]).toEqual([
      "duebase-checkout",
      { price: "price_1", success_url: "/welcome", cancel_url: "/pricing", owner_id: "team" },
    ]);
  });

  test("is refused with the function's code, and with the owners to choose from", async () => {
    const owners = ["one", "two"];
    const client = refusal(400, { error: { code: "owner_required", message: "Which owner?", owners } });
    await expect(openPortal(client)).rejects.toMatchObject({
      code: "owner_required",
      message: "Which owner?",
      status: 400,
      owners,
      isPassing: false,
    });
  });

  test("that Stripe cannot give now may be had later, and when is said", async () => {
    const client = refusal(503, { error: { code: "stripe_unavailable" } }, { "retry-after": "30" });
    await expect(openPortal(client)).rejects.toMatchObject({ isPassing: true, retryAfterSeconds: 30 });
  });

  test.each([
    ["no answer came", answering({ data: null, error: { context: new TypeError("fetch failed") } })],
    [
      "the answer was a page of somebody else's",
      answering({ data: null, error: { context: new Response("<html>", { status: 502 }) } }),
    ],
  ])("is unreachable where %s", async (_, client) => {
    await expect(openCheckout(client, wish)).rejects.toMatchObject({ code: "unreachable", isPassing: true });
  });

  test("is not made up where the answer has none", async () => {
    await expect(openCheckout(answering({ data: {}, error: null }), wish)).rejects.toMatchObject({
      code: "no_url",
    });
  });
});

describe("what is overdue is spoken of", () => {
  const since = "2026-11-01T10:00:00Z";
  const spoken = (now: string, ends_at: string | null = null) =>
    severityOf({ overdue_since: since, ends_at }, new Date(now));

  test("as a notice, from the third day on as a reminder, and last in the days before the end", () => {
    const end = "2026-11-12T12:00:00Z";
    expect(spoken("2026-11-01T10:00:00Z", end)).toBe("notice");
    expect(spoken("2026-11-04T09:59:59Z", end)).toBe("notice");
    expect(spoken("2026-11-04T10:00:00Z", end)).toBe("reminder");
    expect(spoken("2026-11-08T12:00:00Z", end)).toBe("reminder");
    expect(spoken("2026-11-08T12:00:01Z", end)).toBe("final");
  });

  test("never as the last word where nothing ends", () => {
    expect(spoken("2027-11-01T10:00:00Z")).toBe("reminder");
  });
});

/** A client of Realtime, and what it hears. */
function listening() {
  const handlers: Record<string, (message?: object) => void> = {};
  let subscribed: (status: string) => void = () => {};
  const channel = {
    on: (event: string, _filter: object, handler: () => void) => {
      handlers[event] = handler;
      return channel;
    },
    subscribe: (handler: (status: string) => void) => {
      subscribed = handler;
      return channel;
    },
  };
  const removeChannel = vi.fn(async () => "ok");
  const client = { channel: () => channel, removeChannel } as unknown as SupabaseClient;
  return {
    client,
    removeChannel,
    say: (event: string, message?: object) => handlers[event]?.(message),
    connect: () => subscribed("SUBSCRIBED"),
  };
}

test("a change is heard of by Realtime, with every connection, and once the changes of the database begin", () => {
  const { client, say, connect, removeChannel } = listening();
  const changed = vi.fn();
  const stop = onBillingChange(client, "team", changed);
  connect();
  say("system", { extension: "postgres_changes", status: "ok" });
  say("system", { extension: "presence", status: "ok" });
  say("postgres_changes");
  connect();
  expect(changed).toHaveBeenCalledTimes(4);
  stop();
  expect(removeChannel).toHaveBeenCalledOnce();
});

describe("the wait for a webhook", () => {
  test("ends with the change that brings it, and asks again where a question failed", async () => {
    const { client, say, removeChannel } = listening();
    const ask = vi
      .fn<() => Promise<string | undefined>>()
      .mockRejectedValueOnce(new Error("the network"))
      .mockResolvedValueOnce(undefined)
      .mockResolvedValue("open");
    const waited = waitForBilling(client, "team", ask, { everyMs: 60_000 });
    for (const calls of [1, 2]) {
      await vi.waitFor(() => expect(ask).toHaveBeenCalledTimes(calls));
      // One that comes before the pause begins is not lost either.
      say("postgres_changes");
    }
    expect(await waited).toBe("open");
    expect(removeChannel).toHaveBeenCalledOnce();
  });

  test("asks now and then where Realtime says nothing", async () => {
    const ask = vi
      .fn<() => Promise<string | undefined>>()
      .mockResolvedValueOnce(undefined)
      .mockResolvedValue("open");
    expect(await waitForBilling(listening().client, "team", ask, { everyMs: 1 })).toBe("open");
  });

  test("is bounded, and ends with who waits", async () => {
    const ask = async () => undefined;
    expect(
      await waitForBilling(listening().client, "team", ask, { timeoutMs: 20, everyMs: 60_000 }),
    ).toBeUndefined();
    const { signal } = { signal: AbortSignal.abort() };
    expect(await waitForBilling(listening().client, "team", ask, { signal })).toBeUndefined();
  });
});
