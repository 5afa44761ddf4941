import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { readSchemas } from "../../../scripts/local/schemas.ts";
import { connectDatabase } from "../../../supabase/functions/_duebase/database.ts";
import { DATABASE_REFUSALS, DatabaseRefusal } from "../../../supabase/functions/_duebase/errors.ts";
import { type FakeDataApi, failsWith, startFakeDataApi } from "./fake-data-api.ts";

let dataApi: FakeDataApi;
beforeAll(async () => {
  dataApi = await startFakeDataApi();
});
afterAll(() => dataApi.close());

describe("an error the database raises on purpose", () => {
  it.each(Object.entries(DATABASE_REFUSALS))(
    "%s arrives typed, with its message and hint",
    async (sqlstate, known) => {
      dataApi.behave(
        failsWith(400, {
          code: sqlstate,
          message: "evt_1 is wrong",
          hint: "Put it right.",
          details: '{"left": 1}',
        }),
      );
      const call = connectDatabase({ url: dataApi.url, secretKey: "sb_secret_example", projectRef: "local" });
      const error = await call("receive_event", '{"event":{}}').catch((thrown: unknown) => thrown);
      expect(error).toBeInstanceOf(DatabaseRefusal);
      expect(error).toMatchObject({
        ...known,
        message: "evt_1 is wrong",
        hint: "Put it right.",
        detail: '{"left": 1}',
        diagnostics: { sqlstate },
      });
    },
  );

  it("has the same code here as in the schemas, and none is missing", () => {
    const sql = readSchemas().map((file) => file.sql);
    const raised = [...sql.join("\n").matchAll(/\('(DU\d{3})', '(\w+)',/g)].map(([, state, code]) => [
      state,
      code,
    ]);
    expect(raised.length).toBeGreaterThan(0);
    const mirrored = Object.entries(DATABASE_REFUSALS).map(([state, { code }]) => [state, code]);
    expect(raised.sort()).toEqual(mirrored.sort());
  });
});
