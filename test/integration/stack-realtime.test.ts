import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createClient, type SupabaseClient } from "@supabase/supabase-js";
import postgres from "postgres";
import { afterAll, beforeAll, expect, test, vi } from "vitest";
import { WebSocket } from "ws";
import { onBillingChange } from "../../client/index.ts";
import { type Stack, startStack } from "../../scripts/local/stack.ts";
import { eventually } from "../support/stack-project.ts";

// Realtime of the local stack, heard by supabase-js.

let directory: string;
let stack: Stack;
let sql: postgres.Sql;

beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), "duebase-realtime-"));
  const ports = { api: 0, db: 0, studio: 0, inbox: 0, stripe: 0 };
  stack = await startStack({ directory, ports, fsync: false, watch: false });
  sql = postgres(stack.status.DB_URL, { max: 2, onnotice: () => {} });
});
afterAll(async () => {
  await sql?.end();
  await stack?.stop();
  await rm(directory, { recursive: true, force: true });
});

async function signUp(email: string): Promise<{ client: SupabaseClient; id: string }> {
  const client = createClient(stack.status.API_URL, stack.status.PUBLISHABLE_KEY, {
    auth: { persistSession: false },
    realtime: { transport: WebSocket as never, reconnectAfterMs: () => 100 },
  });
  const { data, error } = await client.auth.signUp({ email, password: "an example of a password" });
  if (error || !data.user) throw new Error(`${email} could not sign up`);
  return { client, id: data.user.id };
}

const changeVersion = (owner: string) =>
  sql`select billing_private.next_entitlement_version(${owner}, now())`;

const slots = async () => (await sql`select from pg_replication_slots`).length;

test("tells an owner of their changes and nobody else, and reads only while somebody listens", async () => {
  const [ada, eve] = [await signUp("ada@example.com"), await signUp("eve@example.com")];
  expect(await slots()).toBe(0);
  const [adaHears, eveHears, allOfEve] = [vi.fn(), vi.fn(), vi.fn()];
  const stops = [
    onBillingChange(ada.client, ada.id, adaHears),
    onBillingChange(eve.client, ada.id, eveHears),
  ];
  eve.client
    .channel("everything")
    .on("postgres_changes", { event: "*", schema: "billing", table: "entitlement_versions" }, allOfEve)
    .subscribe();
  // Each once for the connection, and once as changes begin.
  await eventually(
    "both are connected",
    () => adaHears.mock.calls.length >= 2 && eveHears.mock.calls.length >= 2,
  );
  await changeVersion(eve.id);
  await eventually("Eve hears of herself", () => allOfEve.mock.calls.length > 0);
  const [told, before] = [eveHears.mock.calls.length, adaHears.mock.calls.length];
  await changeVersion(ada.id);
  await eventually("Ada hears of it", () => adaHears.mock.calls.length > before);
  expect(eveHears).toHaveBeenCalledTimes(told);
  expect(allOfEve.mock.calls.map(([change]) => change)).toEqual([
    expect.objectContaining({
      eventType: "INSERT",
      schema: "billing",
      table: "entitlement_versions",
      new: expect.objectContaining({ owner_id: eve.id, version: 1 }),
    }),
  ]);

  // After a crash of the database everybody connects anew, and reads again.
  const known = adaHears.mock.calls.length;
  await stack.postgres.stopImmediate();
  await stack.postgres.start();
  await eventually("Ada is connected again", () => adaHears.mock.calls.length > known, 30_000);
  await eventually("there is a slot", async () => (await slots()) === 1);
  const again = adaHears.mock.calls.length;
  await changeVersion(ada.id);
  await eventually("Ada hears again", () => adaHears.mock.calls.length > again);

  for (const stop of stops) stop();
  await Promise.all([ada, eve].map(({ client }) => client.removeAllChannels()));
  await eventually("nothing is read any more", async () => (await slots()) === 0);
});

test("lets nobody in without a key", async () => {
  const socket = new WebSocket(
    `${stack.status.API_URL.replace("http", "ws")}/realtime/v1/websocket?vsn=2.0.0`,
  );
  const refused = await new Promise<string>((resolve) =>
    socket.once("error", ({ message }) => resolve(message)),
  );
  expect(refused).toContain("401");
});
