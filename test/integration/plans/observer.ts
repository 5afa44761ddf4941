import postgres from "postgres";
import type { TestDatabase } from "../../support/database.ts";

/** What the planner did in one statement, all that functions and triggers ran inside it included. */
export interface Plans {
  /** Tables read from one end to the other, with the statement that did so. */
  scans: Map<string, string>;
  /** Of a partition's index, the one of the whole table. */
  indexes: Set<string>;
}

interface PlanNode {
  "Node Type": string;
  "Relation Name"?: string;
  "Index Name"?: string;
  "Conflict Arbiter Indexes"?: string[];
  Plans?: PlanNode[];
}

/** Runs statements and returns the plans that were really used; nothing of what they change is kept. */
export interface Observer {
  run(work: string, as?: { role: string; userId?: string }): Promise<Plans>;
}

/**
 * Watches with auto_explain, which shows the statements inside functions as they are, with the plans they had.
 * Everything is undone afterwards, so each statement finds the same rows.
 */
export async function observe(database: TestDatabase): Promise<Observer> {
  const notices: string[] = [];
  const admin = postgres(database.adminUrl, {
    max: 1,
    onnotice: (notice) => notices.push(notice.message ?? ""),
  });
  await admin.unsafe(`
    load 'auto_explain';
    set auto_explain.log_min_duration = 0;
    set auto_explain.log_nested_statements = on;
    set auto_explain.log_format = json;
    set auto_explain.log_level = notice;
  `);
  const parts = await database.sql<{ name: string; whole: string }[]>`
    select c.relname as name, w.relname as whole
    from pg_inherits as i
    join pg_class as c on c.oid = i.inhrelid and c.relkind = 'i'
    join pg_class as w on w.oid = i.inhparent
  `;
  const wholes = new Map(parts.map(({ name, whole }) => [name, whole]));
  const drop = database.drop;
  database.drop = async () => {
    await admin.end({ timeout: 1 });
    await drop();
  };
  return {
    run: async (work, { role, userId } = { role: "postgres" }) => {
      await admin.unsafe(`
        begin;
        set local role ${role};
        select set_config('request.jwt.claims', '${JSON.stringify({ role, sub: userId })}', true);
      `);
      notices.length = 0;
      try {
        await admin.unsafe(work);
        return plansIn(notices, wholes);
      } finally {
        await admin.unsafe("rollback");
      }
    },
  };
}

function plansIn(notices: string[], wholes: Map<string, string>): Plans {
  const plans: Plans = { scans: new Map(), indexes: new Set() };
  for (const notice of notices) {
    const start = notice.indexOf("plan:");
    if (!notice.startsWith("duration:") || start < 0) continue;
    const { "Query Text": query, Plan } = JSON.parse(notice.slice(start + "plan:".length)) as {
      "Query Text": string;
      Plan: PlanNode;
    };
    const visit = (node: PlanNode) => {
      if (node["Node Type"] === "Seq Scan" && node["Relation Name"])
        plans.scans.set(node["Relation Name"], query);
      for (const index of [node["Index Name"] ?? [], node["Conflict Arbiter Indexes"] ?? []].flat()) {
        plans.indexes.add(wholes.get(index) ?? index);
      }
      for (const child of node.Plans ?? []) visit(child);
    };
    visit(Plan);
  }
  return plans;
}
