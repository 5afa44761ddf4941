import { expect, test } from "vitest";
import { createTurns } from "../../../supabase/functions/stripe-webhook/turns.ts";

/** Work that ends when it is told to. */
function held() {
  let end = () => {};
  const ended = new Promise<void>((resolve) => {
    end = resolve;
  });
  return { work: () => ended, end: () => end() };
}

test("of two hundred events of one customer three are stored at a time, and nobody else waits for them", async () => {
  const takeTurn = createTurns(3);
  let running = 0;
  let most = 0;
  const gate = held();
  const hot = Array.from({ length: 200 }, () =>
    takeTurn("cus_hot", async () => {
      most = Math.max(most, ++running);
      await gate.work();
      running--;
    }),
  );
  expect(await takeTurn("cus_other", async () => "stored")).toBe("stored");
  expect(await takeTurn(undefined, async () => "stored")).toBe("stored");
  expect(running).toBe(3);
  gate.end();
  await Promise.all(hot);
  expect(most).toBe(3);
});

test("an event that fails hands its turn on", async () => {
  const takeTurn = createTurns(1);
  const failing = takeTurn("cus_hot", async () => {
    throw new Error("no");
  });
  const next = takeTurn("cus_hot", async () => "stored");
  await expect(failing).rejects.toThrow("no");
  expect(await next).toBe("stored");
});

test("an event whose turn does not come in time is not stored: 503, and Stripe sends again", async () => {
  const takeTurn = createTurns(1, 20);
  const gate = held();
  const first = takeTurn("cus_hot", gate.work);
  await expect(takeTurn("cus_hot", async () => "stored")).rejects.toMatchObject({
    code: "database_unavailable",
    status: 503,
  });
  gate.end();
  await first;
  expect(await takeTurn("cus_hot", async () => "stored")).toBe("stored");
});
