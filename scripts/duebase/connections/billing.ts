import postgres, { type Sql } from "postgres";
import type { CallBilling } from "../../../supabase/functions/_duebase/database.ts";
import { DatabaseRefusal, DatabaseUnavailableError } from "../../../supabase/functions/_duebase/errors.ts";
import { UnusableDatabase } from "./database.ts";

/** What goes by itself: a lost race, a lock that was not free, a server that is shutting down. */
const PASSING = /^(40001|40P01|55P03|57P0\d)$/;

/** The functions of schema billing over a connection, called as the Edge Functions call them through the Data API. */
export function billingOver(sql: Sql): CallBilling {
  return async (name, args) => {
    const given = Object.entries(JSON.parse(args) as Record<string, unknown>).filter(
      ([, value]) => value !== undefined && value !== null,
    );
    const list = given.map(([parameter], index) => `${parameter} => $${index + 1}`).join(", ");
    try {
      const rows = await sql.unsafe<{ answer: unknown }[]>(
        `select to_jsonb(f) as answer from billing.${name}(${list}) as f`,
        given.map(([, value]) => value as never),
      );
      return rows[0]?.answer as never;
    } catch (error) {
      throw meaningOf(error);
    }
  };
}

function meaningOf(error: unknown): unknown {
  if (!(error instanceof postgres.PostgresError)) return error;
  if (error.code.startsWith("DU")) {
    return new DatabaseRefusal(error.code, error.message, error.hint ?? "", { sqlstate: error.code });
  }
  if (PASSING.test(error.code)) return new DatabaseUnavailableError({ reason: error.message }, error);
  if (error.code === "42883" || error.code === "3F000") {
    return new UnusableDatabase(
      `This database has no history runs (${error.message}).`,
      "Apply the migrations of this release first.",
      { cause: error },
    );
  }
  return error;
}
