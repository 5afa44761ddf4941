import { readFileSync } from "node:fs";
import { join } from "node:path";
import { createClient } from "@supabase/supabase-js";
import { afterAll, beforeAll, describe, expect, it, vi } from "vitest";
import ws from "ws";
import { type Api, openApi } from "../../../scripts/local/api/data-api.ts";
import { localKeys } from "../../../scripts/local/keys.ts";
import { createTestDatabase, type TestDatabase } from "../../support/database.ts";
import { deliver } from "../../support/orders.ts";
import { ownedBy, plan, subscribed } from "../usage/metered.ts";
import { balanceOf, grant, refusalOf } from "./bought.ts";

// The examples of docs/usage-and-credits.md, as they stand there, run by a server and by a user.

const page = readFileSync(join(import.meta.dirname, "../../../docs/usage-and-credits.md"), "utf8");

function example(language: string): string {
  const code = page.split(`\`\`\`${language}\n`)[1]?.split("```")[0];
  if (!code) throw new Error(`docs/usage-and-credits.md shows no ${language}`);
  return code;
}

let database: TestDatabase;
let api: Api;
beforeAll(async () => {
  vi.spyOn(console, "error").mockImplementation(() => {});
  database = await createTestDatabase();
  await database.sql.unsafe(`
    create table public.images (request_id text primary key, owner uuid not null, prompt text not null check (prompt <> ''));
    ${example("sql")}
  `);
  api = await openApi({
    urlFor: (role) => database.urlFor(role),
    schemas: ["public", "billing"],
    maxRows: 1000,
    siteUrl: "http://127.0.0.1:3000",
  });
});
afterAll(async () => {
  await api?.close();
  await database.drop();
  vi.restoreAllMocks();
});

const server = () =>
  createClient("http://api.test", localKeys.secret, {
    auth: { persistSession: false, autoRefreshToken: false },
    realtime: { transport: ws as never },
    global: { fetch: (input, init) => api.rest(new Request(input, init), "127.0.0.1") },
  });

describe("the server's example", () => {
  const AsyncFunction = (async () => {}).constructor as new (
    ...parts: string[]
  ) => (supabase: unknown, userId: string, requestId: string) => Promise<Response | undefined>;
  const recordOne = new AsyncFunction("supabase", "userId", "requestId", example("ts"));

  it("counts each request once, and answers 429 with what is left", async () => {
    const user = await database.signUp();
    await deliver(database, [plan("Pro", { limit_api_calls: "2" }), ownedBy(user), subscribed()]);
    for (const request of ["one", "one", "two"])
      expect(await recordOne(server(), user, request)).toBeUndefined();
    const refused = await recordOne(server(), user, "three");
    expect(refused?.status).toBe(429);
    expect(await refused?.json()).toMatchObject({ remaining: 0 });
  });
});

describe("the database's example", () => {
  const order = (user: string, prompt: string, request: string) =>
    database.asUser(
      user,
      async (sql) =>
        (await sql<{ balance: string }[]>`select public.order_image(${prompt}, ${request}) as balance`)[0]
          ?.balance,
    );

  it("takes the credits with the work, once, and gives them back when it fails", async () => {
    const user = await database.signUp();
    await grant(database, user, 25, "welcome");
    expect(await order(user, "a cat", "r1")).toBe("15");
    expect(await order(user, "a cat", "r1")).toBe("15");
    expect(await refusalOf(order(user, "", "r2"))).toMatchObject({ code: "23514" });
    expect(await balanceOf(database, user)).toBe(15);
    expect(await order(user, "a dog", "r3")).toBe("5");
    expect(await refusalOf(order(user, "a bird", "r4"))).toMatchObject({ code: "DU015" });
    expect(await database.sql`select prompt from public.images order by request_id`).toEqual([
      { prompt: "a cat" },
      { prompt: "a dog" },
    ]);
  });
});
