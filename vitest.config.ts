import { defineConfig } from "vitest/config";

/**
 * Three kinds of test. `database` shares one PostgreSQL that is started once for all of them and cloned for each
 * file (test/support/database.ts); `stack` starts what it needs by itself; `unit` needs nothing.
 */
const UNIT = ["test/unit/**/*.test.ts"];
const STACK = [
  "test/integration/stack*.test.ts",
  "test/integration/ratios.test.ts",
  "test/integration/moving-in/**/*.test.ts",
  "test/integration/doctor/**/*.test.ts",
  "test/local-stripe/**/*.test.ts",
  "test/local-inbox/**/*.test.ts",
  "test/local-management/**/*.test.ts",
  "test/pg15/**/*.test.ts",
  "test/browser/**/*.test.ts",
];

export default defineConfig({
  test: {
    pool: "forks",
    // Each worker keeps a database, a Deno or a Stripe busy beside itself: more of them only wait for each other.
    maxWorkers: 2,
    projects: [
      { test: { name: "unit", include: UNIT, testTimeout: 20_000, hookTimeout: 60_000 } },
      { test: { name: "stack", include: STACK, testTimeout: 60_000, hookTimeout: 120_000 } },
      {
        test: {
          name: "database",
          include: ["test/**/*.test.ts"],
          exclude: [...UNIT, ...STACK],
          globalSetup: ["test/support/shared-postgres.ts"],
          testTimeout: 30_000,
          hookTimeout: 60_000,
        },
      },
    ],
  },
});
