import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { createTestDatabase, type TestDatabase } from "../../support/database.ts";
import { renamedFixture } from "../../support/fixtures.ts";
import { newName, told } from "../../support/orders.ts";
import { customer } from "../../support/stripe/customers.ts";
import type { StripeEvent } from "../../support/stripe/events.ts";
import { subscription } from "../../support/stripe/subscriptions.ts";
import { replay } from "./handlers.ts";

const NOW = 1_790_000_000;
const USER = "0c0ffee0-1111-4222-8333-000000000062";

let database: TestDatabase;
beforeAll(async () => {
  database = await createTestDatabase();
  await database.signUp({ id: USER });
});
afterAll(() => database.drop());

const setLivemode = (livemode: boolean) =>
  database.sql`update billing.settings set livemode = ${livemode} where id`;
const live = (event: StripeEvent): StripeEvent => ({ ...event, livemode: true });

const ada = customer({ id: "cus_ExampleAda", created: NOW, metadata: { owner_id: USER } });
const begun = subscription({
  id: "sub_ExamplePlan",
  created: NOW,
  customer: ada.id,
  items: [],
  status: "incomplete",
});
const story = [
  told("customer.created", NOW, { ...ada, metadata: {} }),
  told("customer.updated", NOW, ada, { ...ada, metadata: {} }),
  told("customer.subscription.created", NOW, begun),
  told("customer.subscription.updated", NOW, { ...begun, status: "active" }, begun),
].map(live);

describe("events in quarantine that are replayed once the settings are right", () => {
  // Which of the four are withheld, and in which order they are let out: all sixteen, and back to front as well.
  const withheld = Array.from({ length: 16 }, (_, set) =>
    story.filter((_event, index) => set & (1 << index)),
  );

  it("count as if they had been received directly, whichever were withheld and in whatever order they come out", async () => {
    for (const set of withheld)
      for (const order of [set, [...set].reverse()]) {
        const name = newName();
        const named = (event: StripeEvent) => renamedFixture(event, name);
        await setLivemode(false);
        for (const event of set) expect(await database.receive(named(event))).toBe("quarantined");
        await setLivemode(true);
        for (const event of story.filter((one) => !set.includes(one))) await database.receive(named(event));
        for (const event of order) expect(await replay(database, named(event).id)).toBe("processed");
        const [row] = await database.sql`
          select s.status, c.owner_id,
            (select count(*)::integer from billing.failed_webhooks as f
              join billing.webhook_events as e on e.id = f.event_id
              where e.customer_id = c.id and f.status <> 'resolved') as unresolved
          from billing.subscriptions as s join billing.customers as c on c.id = s.customer
          where s.id = ${`sub_${name}Plan`}
        `;
        expect(row, `withheld: ${order.map(({ type }) => type).join(", ")}`).toEqual({
          status: "active",
          owner_id: USER,
          unresolved: 0,
        });
      }
  });
});

describe("an event in quarantine", () => {
  it("is alerted from the first one on, once for each cause and hour", async () => {
    await setLivemode(false);
    const at = (minute: number) => new Date(Date.UTC(2026, 9, 1, 12, minute));
    const event = (id: string) => ({
      ...live(told("customer.created", NOW, customer({ id, created: NOW }))),
    });
    await database.receive(event("cus_ExampleFirst"), at(1));
    await database.receive(event("cus_ExampleSecond"), at(2));
    await database.receive({ ...event("cus_ExampleThird"), livemode: false, account: "acct_Example" }, at(3));
    await database.receive(event("cus_ExampleFourth"), at(61));
    const alerts = await database.sql`
      select dedupe_key as key, payload ->> 'reason' as reason from billing.outbox
      where kind = 'alert' and created_at between ${at(0)} and ${at(90)} order by 1
    `;
    expect([...alerts]).toEqual([
      { key: "alert:quarantined_account:2026-10-01T12Z", reason: expect.stringContaining("acct_Example") },
      { key: "alert:quarantined_livemode:2026-10-01T12Z", reason: expect.stringContaining("livemode t") },
      { key: "alert:quarantined_livemode:2026-10-01T13Z", reason: expect.stringContaining("livemode t") },
    ]);
  });
});
