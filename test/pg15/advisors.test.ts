import postgres, { type Sql } from "postgres";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { runSupabase } from "../../scripts/check/supabase-cli.ts";
import {
  type DebianPostgres,
  debianPostgresMissing,
  startDebianPostgres,
} from "../support/debian-postgres.ts";

interface Finding {
  name: string;
  level: string;
  detail: string;
}

interface LintedFunction {
  function: string;
  issues: { level: string; message: string }[];
}

const missing = debianPostgresMissing();

describe.skipIf(missing)(
  `Supabase's own tools, on the migrated database${missing ? `: ${missing}` : ""}`,
  () => {
    let server: DebianPostgres;
    let sql: Sql;

    beforeAll(async () => {
      server = await startDebianPostgres();
      sql = postgres(server.url, { max: 1, onnotice: () => {} });
      await sql`create extension if not exists plpgsql_check with schema extensions`;
    });
    afterAll(async () => {
      await sql?.end();
      await server?.remove();
    });

    /** What the CLI reports, and whether it ended as when something was found. */
    async function report<Result>(...args: string[]): Promise<{ results: Result[]; failed: boolean }> {
      const { code, stdout, stderr } = await runSupabase([
        "db",
        ...args,
        `--remote=${server.url}`,
        "--output-format=json",
      ]);
      if (code !== 0 && code !== 1)
        throw new Error(`supabase db ${args.join(" ")} ended with ${code}:\n${stderr}`);
      const { results } = JSON.parse(stdout) as { results: Result[] };
      return { results, failed: code === 1 };
    }

    const lint = () =>
      report<LintedFunction>(
        "lint",
        "--schema=billing,billing_private",
        "--level=warning",
        "--fail-on=warning",
      );
    const advise = () => report<Finding>("advisors", "--type=all", "--level=info", "--fail-on=info");

    test("db lint finds nothing in any function", async () => {
      expect(await lint()).toEqual({ results: [], failed: false });
    });

    test("db lint would have found something: a function that reads a table that is not there", async () => {
      await sql`
      create function billing_private.planted() returns void language plpgsql set search_path = ''
      as 'begin perform from billing.not_there; end'
    `;
      try {
        const { results, failed } = await lint();
        expect(results.map((result) => result.function)).toEqual(["billing_private.planted"]);
        expect(results[0]?.issues[0]?.message).toContain("billing.not_there");
        expect(failed).toBe(true);
      } finally {
        await sql`drop function billing_private.planted()`;
      }
      expect((await lint()).results).toEqual([]);
    });

    test("db advisors find nothing at their usual level", async () => {
      expect(await report("advisors")).toEqual({ results: [], failed: false });
    });

    test("db advisors find nothing at any level, but that an unused database has unused indexes", async () => {
      const { results } = await advise();
      // test/integration/plans has a statement for each index, so none stays unused.
      expect(results.filter((finding) => finding.name !== "unused_index")).toEqual([]);
    });

    test("db advisors would have found something: they look at schema billing as at an exposed one", async () => {
      await sql.unsafe(`
      create table billing.planted_table (id int primary key, event_id text references billing.webhook_events (id));
      create view billing.planted_view as select * from billing.webhook_events;
      create function billing.planted_function() returns int language sql as 'select 1';
      grant select on billing.planted_table, billing.planted_view to authenticated;
      create policy planted_policy on billing.customers for select to authenticated using (owner_id = auth.uid());
    `);
      try {
        const { results, failed } = await advise();
        const found = results
          .filter((finding) => finding.detail.includes("planted"))
          .map((finding) => finding.name);
        expect(found.sort()).toEqual([
          "auth_rls_initplan",
          "function_search_path_mutable",
          "multiple_permissive_policies",
          "rls_disabled_in_public",
          "security_definer_view",
          "unindexed_foreign_keys",
        ]);
        expect(failed).toBe(true);
      } finally {
        await sql.unsafe(`
        drop policy planted_policy on billing.customers;
        drop function billing.planted_function();
        drop view billing.planted_view;
        drop table billing.planted_table;
      `);
      }
      expect((await report("advisors")).results).toEqual([]);
    });
  },
);
