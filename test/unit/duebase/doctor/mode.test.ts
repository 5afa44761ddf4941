import { describe, expect, it } from "vitest";
import { goLive } from "../../../../scripts/duebase/commands/go-live.ts";
import { mode } from "../../../../scripts/duebase/doctor/checks/mode.ts";
import type { DoctorContext, RoundTrip } from "../../../../scripts/duebase/doctor/context.ts";
import { Terminal } from "../../../../scripts/duebase/terminal.ts";
import type { SelfReport } from "../../../../supabase/functions/_duebase/self-report.ts";

function contextOf(report: Partial<SelfReport>, current: "mirror" | "live" = "live"): DoctorContext {
  const trip = { is: "answered", report, took: 1, answeredAt: 0 } as unknown as RoundTrip;
  return {
    roundTrip: async () => trip,
    settings: async () => ({ mode: current, project_ref: report.project }),
    projectRef: "local",
    sql: () => {
      throw new Error("asked the database");
    },
  } as unknown as DoctorContext;
}

describe("an installation of one's own whose functions are called local, as all others are", () => {
  const unnamed = contextOf({ project: "local", local_stack: false });

  it.each(["mirror", "live"] as const)("is red in %s mode, with the name to set", async (current) => {
    const context = contextOf({ project: "local", local_stack: false }, current);
    const [finding] = await mode.look(context);
    expect(finding).toMatchObject({ light: "red", cure: expect.stringContaining("DUEBASE_PROJECT_REF") });
  });

  it("does not go live, whatever was said beforehand", async () => {
    await expect(goLive(unnamed, new Terminal({ yes: true }), false)).rejects.toMatchObject({
      name: "Refusal",
      message: expect.stringContaining("Not live: the functions take this installation for"),
      cure: expect.stringContaining("DUEBASE_PROJECT_REF"),
    });
  });

  it("is right once it has a name, and so is the local stack", async () => {
    for (const report of [
      { project: "frankfurt", local_stack: false },
      { project: "local", local_stack: true },
    ]) {
      const context = { ...contextOf(report), sql: (async () => []) as never };
      expect((await mode.look(context))[0]).toMatchObject({ light: "green" });
    }
  });
});
