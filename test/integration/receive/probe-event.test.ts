import { afterAll, beforeAll, expect, it } from "vitest";
import { createTestDatabase, type TestDatabase } from "../../support/database.ts";
import { rowCounts } from "../../support/row-counts.ts";

let database: TestDatabase;
beforeAll(async () => {
  database = await createTestDatabase();
});
afterAll(() => database.drop());

const probe = (more: object = {}) => ({
  id: "evt_duebase_probe_1",
  object: "event",
  type: "duebase.probe",
  livemode: false,
  created: 1_793_000_000,
  data: { object: { id: "duebase_probe_1", object: "duebase.probe" } },
  ...more,
});

it("a probe event goes the whole way and leaves no row in any table", async () => {
  const before = await rowCounts(database.sql);
  expect(await database.receive(probe())).toBe("probed");
  expect(await database.receive(probe())).toBe("probed");
  expect(await rowCounts(database.sql)).toEqual(before);
});

it("of the other mode, or another account, it says what would have become of a real one, and leaves nothing either", async () => {
  const before = await rowCounts(database.sql);
  expect(await database.receive(probe({ livemode: true }))).toBe("probe_quarantined");
  expect(await database.receive(probe({ account: "acct_other" }))).toBe("probe_quarantined");
  expect(await rowCounts(database.sql)).toEqual(before);
});

it("one that is malformed is refused like any other", async () => {
  await expect(database.receive({ ...probe(), created: "now" })).rejects.toMatchObject({ code: "DU001" });
});

it("in a batch it is sent back, to be sent alone", async () => {
  const before = await rowCounts(database.sql);
  const [row] = await database.asService(
    (sql) => sql`select billing.receive_events(${sql.json([probe()])}) as answers`,
  );
  expect(row?.answers).toEqual(["retry_single"]);
  expect(await rowCounts(database.sql)).toEqual(before);
});

it("where the ledger cannot be written, the probe fails like a real event", async () => {
  const admin = database.connect({ role: "supabase_admin" });
  await admin`alter table billing.webhook_events rename to elsewhere`;
  try {
    await expect(database.receive(probe())).rejects.toMatchObject({ code: "42P01" });
  } finally {
    await admin`alter table billing.elsewhere rename to webhook_events`;
  }
});
