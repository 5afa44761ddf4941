/** A random suite: `npm test` plays it with a small number, `npm run soak` with its full one. */
export interface SoakRun {
  name: string;
  /** What is counted. */
  what: string;
  /** The environment variable from which its tests take the number. */
  variable: string;
  count: number;
  /** Its test files, or folders of them. */
  files: readonly string[];
}

/** In the order in which they are played. A new random suite is a row here. */
export const soakRuns: readonly SoakRun[] = [
  {
    name: "export",
    what: "rows of one table, exported with little memory",
    variable: "DUEBASE_EXPORT_ROWS",
    count: 200_000,
    files: ["test/integration/export.test.ts"],
  },
  {
    name: "ladders",
    what: "random ladders, asked at random times",
    variable: "DUEBASE_RUNS",
    count: 2000,
    files: ["test/integration/dunning/due-step.test.ts"],
  },
  {
    name: "any-order",
    what: "histories of Stripe's events, in any order",
    variable: "DUEBASE_HISTORIES",
    count: 1000,
    files: ["test/integration/projection/any-order.test.ts"],
  },
  {
    name: "batches",
    what: "histories of Stripe's events, in batches of any size",
    variable: "DUEBASE_BATCHED_HISTORIES",
    count: 1000,
    files: ["test/integration/receive/any-batches.test.ts"],
  },
  {
    name: "batches-in-order",
    what: "histories of Stripe's events, in batches beside one by one in the same order",
    variable: "DUEBASE_ORDERED_HISTORIES",
    count: 600,
    files: ["test/integration/receive/batches-in-order.test.ts"],
  },
  {
    name: "teams",
    what: "histories of Stripe's events whose customers belong to teams",
    variable: "DUEBASE_TEAM_HISTORIES",
    count: 200,
    files: ["test/integration/owners/histories.test.ts"],
  },
  {
    name: "revenue",
    what: "businesses, counted by the day and by the event",
    variable: "DUEBASE_BUSINESSES",
    count: 60,
    files: ["test/integration/projection/revenue.test.ts"],
  },
  {
    name: "restored",
    what: "people of a life whose backup is restored",
    variable: "DUEBASE_RESTORED_PEOPLE",
    count: 230,
    files: ["test/integration/mode/restored-life.test.ts"],
  },
  {
    name: "dunning",
    what: "months of customers, without and with faults",
    variable: "DUEBASE_MONTHS",
    count: 1000,
    files: [
      "test/integration/dunning/simulation-without-faults.test.ts",
      "test/integration/dunning/simulation-with-faults.test.ts",
    ],
  },
  {
    name: "dunning-of-teams",
    what: "months of customers who belong to teams, without and with faults",
    variable: "DUEBASE_TEAM_MONTHS",
    count: 300,
    files: ["test/integration/dunning/simulation-of-teams.test.ts"],
  },
  {
    name: "seats",
    what: "months of members who join and leave a team, with kills and declined cards, in two ways to charge",
    variable: "DUEBASE_SEAT_MONTHS",
    count: 30,
    files: ["test/integration/seats/a-month.test.ts"],
  },
  {
    name: "seat-counts",
    what: "histories of counts that are committed late, and of owners that fail",
    variable: "DUEBASE_SEAT_COUNT_HISTORIES",
    count: 300,
    files: ["test/integration/seats/newest-count.test.ts"],
  },
  {
    name: "kills",
    what: "deliveries ended at each named point",
    variable: "DUEBASE_CRASH_RUNS",
    count: 10,
    files: ["test/faults/deliver/killed-anywhere.test.ts"],
  },
  {
    name: "history",
    what: "customers of an account that moves in, compared with one that had listened",
    variable: "DUEBASE_HISTORY_CUSTOMERS",
    count: 5000,
    files: ["test/integration/history/backfill.test.ts"],
  },
  {
    name: "history-kills",
    what: "SIGKILLs of a backfill, with webhooks arriving",
    variable: "DUEBASE_HISTORY_KILLS",
    count: 100,
    files: ["test/faults/history-kills.test.ts"],
  },
  {
    name: "paged-lists",
    what: "lists paged through while objects of them are deleted, the cursor's own among them",
    variable: "DUEBASE_PAGED_LISTS",
    count: 200,
    files: ["test/integration/history/paged-lists.test.ts"],
  },
  {
    name: "bursts",
    what: "bursts of webhooks under kills and cut connections",
    variable: "DUEBASE_FAULT_RUNS",
    count: 20,
    files: ["test/faults/bursts.test.ts"],
  },
  {
    name: "deadlocks",
    what: "seconds of each mix of writers, all at once",
    variable: "DUEBASE_DEADLOCK_SECONDS",
    count: 120,
    files: ["test/faults/deadlocks.test.ts"],
  },
  {
    name: "opposite-batches",
    what: "seconds of batches about the same customers in opposite orders",
    variable: "DUEBASE_BATCH_SECONDS",
    count: 120,
    files: ["test/faults/opposite-batches.test.ts"],
  },
];
