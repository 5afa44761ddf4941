import { expect, it } from "vitest";
import { type Check, right, wrong } from "../../../../scripts/duebase/doctor/check.ts";
import { clocks } from "../../../../scripts/duebase/doctor/checks/clocks.ts";
import { checks } from "../../../../scripts/duebase/doctor/checks/index.ts";
import type { DoctorContext } from "../../../../scripts/duebase/doctor/context.ts";
import { diagnosisAsText } from "../../../../scripts/duebase/doctor/render.ts";
import { runChecks } from "../../../../scripts/duebase/doctor/run.ts";

const context = {} as Omit<DoctorContext, "signal">;
const check = (name: string, look: Check["look"], timeout?: number): Check => ({
  name,
  title: name,
  look,
  timeout,
});
// biome-ignore lint/suspicious/noControlCharactersInRegex: the colours of a terminal
const withoutColours = (text: string) => text.replace(/\u001b\[\d+m/g, "");

it("a check that hangs is red after its own time, and does not stop the others", async () => {
  let aborted = false;
  const hangs = check(
    "hangs",
    ({ signal }) => {
      signal.addEventListener("abort", () => {
        aborted = true;
      });
      return new Promise(() => {});
    },
    50,
  );
  const waited: string[][] = [];
  const { light, results } = await runChecks(
    [hangs, check("quick", async () => [right("it works")])],
    context,
    (waitingFor) => waited.push(waitingFor),
  );
  expect(light).toBe("red");
  expect(results.map(({ check: name, light: of }) => [name, of])).toEqual([
    ["hangs", "red"],
    ["quick", "green"],
  ]);
  expect(results[0]?.says).toBe("it did not come to an end within 0.05 s");
  expect(waited).toEqual([["hangs"], []]);
  expect(aborted).toBe(true);
});

it("a check that throws is red, and says with what", async () => {
  const { results } = await runChecks(
    [
      check("throws", async () => {
        throw Object.assign(new Error('relation "billing.x" does not exist'), { code: "42P01" });
      }),
    ],
    context,
  );
  expect(results).toEqual([
    expect.objectContaining({
      light: "red",
      says: expect.stringContaining("billing.x"),
      cure: expect.stringContaining("supabase db push"),
    }),
  ]);
});

it.each([
  [0, 0, "green", /agree/],
  [20_000, 0, "amber", /the database.s clock is 20 s ahead of/],
  [-200_000, 0, "red", /the database.s clock is 200 s behind.*signatures are refused/],
  [0, -200_000, "red", /the functions. clock is 200 s behind/],
])("clocks that are %i ms and %i ms off are %s %s", async (database, functions, light, says) => {
  const rows = async () => [{ now: new Date(Date.now() + database) }];
  const { results, light: of } = await runChecks([clocks], {
    ...context,
    sql: rows as unknown as DoctorContext["sql"],
    roundTrip: async () => ({
      is: "answered",
      took: 100,
      answeredAt: Date.now(),
      report: {
        function: "duebase-deliver",
        project: "local",
        clock: new Date(Date.now() + functions).toISOString(),
        database: { is: "ok" },
      },
    }),
  });
  expect(of).toBe(light);
  expect(results.map((one) => one.says).join()).toMatch(says);
});

it("every line fits a terminal 80 wide, and says what to do beside what is wrong", async () => {
  const long =
    "the endpoint does not send customer.subscription.pending_update_applied, customer.subscription.pending_update_expired";
  const diagnosis = await runChecks(
    [
      check("endpoint", async () => [wrong(long, "npx duebase connect adds them")]),
      check("other", async () => [right("it is")]),
    ],
    context,
  );
  const text = withoutColours(diagnosisAsText(diagnosis, 80));
  for (const line of text.split("\n")) expect(line.trimEnd().length).toBeLessThanOrEqual(80);
  expect(text).toContain("\u2192 npx duebase connect adds them");
  expect(text).toContain("1 green, 0 amber, 1 red.");
});

it("names and titles of checks are theirs alone, and titles fit their column", () => {
  expect(new Set(checks.map(({ name }) => name)).size).toBe(checks.length);
  expect(new Set(checks.map(({ title }) => title)).size).toBe(checks.length);
  for (const { title } of checks) expect(title.length).toBeLessThanOrEqual(22);
});
