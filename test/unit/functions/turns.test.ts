import { expect, test } from "vitest";
import { parseEvent } from "../../../supabase/functions/duebase-stripe-webhook/event.ts";
import { createTurns } from "../../../supabase/functions/duebase-stripe-webhook/turns.ts";

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

test.each<[string, object, string | undefined]>([
  ["a customer's", { id: "in_1", customer: "cus_1" }, "cus_1"],
  ["a customer's, expanded", { id: "in_1", customer: { id: "cus_1" } }, "cus_1"],
  ["a customer", { id: "cus_1", object: "customer" }, "cus_1"],
  ["an account's alone", { id: "in_1", customer: null, customer_account: "acct_1" }, "acct_1"],
  ["nobody's: a product, of which an import changes two hundred at once", { id: "prod_1" }, "prod_1"],
  ["nobody's and without an id", { object: "balance" }, undefined],
])("an event takes turns with others as the database projects it: %s", (_whose, object, turn) => {
  const event = { id: "evt_1", object: "event", type: "any.thing", data: { object } };
  expect(parseEvent(new TextEncoder().encode(JSON.stringify(event))).turn).toBe(turn);
});
