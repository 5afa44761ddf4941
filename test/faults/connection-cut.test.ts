import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { type Cut, CuttingProxy } from "./cutting-proxy.ts";
import { countProjections, projections } from "./effects.ts";
import { type FaultStack, startFaultStack } from "./fault-stack.ts";
import { invoicePaid } from "./invoice-paid.ts";
import { asDelivered, type Delivered, StripeSender } from "./stripe-sender.ts";

let faulty: FaultStack;
let toDataApi: CuttingProxy;
let toFunction: CuttingProxy;
let sender: StripeSender;

beforeAll(async () => {
  toDataApi = await CuttingProxy.listen();
  toFunction = await CuttingProxy.listen();
  faulty = await startFaultStack({ functionEnv: { SUPABASE_URL: toDataApi.url } });
  await countProjections(faulty.sql);
  const { API_URL, STRIPE_WEBHOOK_SECRET } = faulty.stack.status;
  toDataApi.target = toFunction.target = Number(new URL(API_URL).port);
  sender = new StripeSender(`${toFunction.url}/functions/v1/duebase-stripe-webhook`, STRIPE_WEBHOOK_SECRET);
}, 120_000);
afterAll(async () => {
  await faulty?.close();
  await Promise.all([toDataApi, toFunction].map((proxy) => proxy?.close()));
});

const places = [
  { between: "the function and the Data API", proxy: () => toDataApi, seen: 503 },
  { between: "Stripe and the function", proxy: () => toFunction, seen: undefined },
];

describe.each(places)("connections cut between $between", ({ between, proxy, seen }) => {
  it("after the commit and before the answer: told of an error, Stripe sends again, and it counts once", async () => {
    const delivered = asDelivered(invoicePaid(`answer${between.length}`));
    const cuts = await whileCutting(proxy(), "at answer", async () => {
      expect(await sender.post(delivered)).toMatchObject({ status: seen });
    });
    // Each request that was cut had been committed: the first one stored the event, the next one found it stored.
    const committed = { stored: 1, audited: 1, projected: "begun done" };
    expect(await traces(delivered)).toEqual({ ...committed, duplicates: cuts - 1 });

    expect(await sender.post(delivered)).toMatchObject({ status: 200, outcome: "duplicate" });
    expect(await traces(delivered)).toEqual({ ...committed, duplicates: cuts });
  });

  it.each<[Cut]>([["before"], ["midway"]])(
    "%s the request: nothing is stored, and sent again it is processed",
    async (where) => {
      const delivered = asDelivered(invoicePaid(`${where}${between.length}`));
      await whileCutting(proxy(), where, async () => {
        expect(await sender.post(delivered)).toMatchObject({ status: seen });
      });
      expect(await traces(delivered)).toEqual({ stored: 0, duplicates: 0, audited: 0, projected: undefined });

      expect(await sender.post(delivered)).toMatchObject({ status: 200, outcome: "processed" });
      expect(await traces(delivered)).toEqual({
        stored: 1,
        duplicates: 0,
        audited: 1,
        projected: "begun done",
      });
    },
  );
});

/**
 * Cuts every request meanwhile and returns how many it cut. Deno's `fetch` repeats a request by itself, also a POST, when
 * a connection that it had used before breaks.
 */
async function whileCutting(proxy: CuttingProxy, where: Cut, work: () => Promise<void>): Promise<number> {
  const before = proxy.cuts.length;
  proxy.decide = () => where;
  try {
    await work();
  } finally {
    proxy.decide = () => undefined;
  }
  const cuts = proxy.cuts.length - before;
  expect(cuts).toBeGreaterThanOrEqual(1);
  return cuts;
}

/** The rows of an event in the database. */
async function traces({ id }: Delivered) {
  const [row] = await faulty.sql<{ stored: number; duplicates: number; audited: number }[]>`
    select
      (select count(*)::integer from billing.webhook_events where id = ${id}) as stored,
      (select count(*)::integer from billing.webhook_duplicates where event_id = ${id}) as duplicates,
      (select count(*)::integer from billing.audit_events where event_id = ${id}) as audited
  `;
  return { ...row, projected: (await projections(faulty.sql))[id] };
}
