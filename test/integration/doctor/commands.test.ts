import { spawn } from "node:child_process";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { projectRoot } from "../../../scripts/local/project.ts";
import { type DoctorStack, startDoctorStack } from "./doctor-stack.ts";

let doctor: DoctorStack;
beforeAll(async () => {
  doctor = await startDoctorStack();
}, 180_000);
afterAll(() => doctor?.close());

function duebase(...args: string[]): Promise<{ code: number | null; out: string; err: string }> {
  return duebaseWith({}, ...args);
}

function duebaseWith(
  env: NodeJS.Dict<string>,
  ...args: string[]
): Promise<{ code: number | null; out: string; err: string }> {
  const child = spawn(
    process.execPath,
    ["--import", "tsx", join(projectRoot, "scripts", "duebase.ts"), ...args],
    {
      cwd: projectRoot,
      env: {
        ...process.env,
        ...doctor.env,
        ...env,
        DUEBASE_DB_URL: doctor.stack.status.DB_URL,
        NO_COLOR: "1",
        COLUMNS: "80",
      },
    },
  );
  let [out, err] = ["", ""];
  child.stdout.on("data", (data) => {
    out += data;
  });
  child.stderr.on("data", (data) => {
    err += data;
  });
  return new Promise((resolve) => child.once("close", (code) => resolve({ code, out, err })));
}
const mode = async () => (await doctor.sql`select mode, project_ref from billing.settings`)[0];

describe("duebase doctor", () => {
  it("is green and amber on a stack that is right: exit code 0, one JSON value", async () => {
    const { code, out } = await duebase("doctor", "--json", "--answer", "stripe_emails=yes");
    expect(code).toBe(0);
    const answer = JSON.parse(out);
    expect(answer.light).toBe("amber");
    expect(answer.results.find((one: { check: string }) => one.check === "stripe_emails").says).toMatch(
      /as you said on/,
    );
  }, 60_000);

  it("is red: exit code 1, a line and a cure in a terminal 80 wide, with progress", async () => {
    await doctor.sql`update billing.settings set app_name = default where id`;
    const { code, out, err } = await duebase("doctor");
    await doctor.sql`update billing.settings set app_name = 'Acme' where id`;
    expect(code).toBe(1);
    expect(out).toMatch(/name, URL, sender\s+billing\.settings\.app_name is still/);
    // A single word that is longer, such as an address, stays whole so that it can be copied.
    const wide = out.split("\n").filter((line) => line.trimEnd().length > 80);
    expect(wide.filter((line) => line.slice(26).trim().includes(" "))).toEqual([]);
    expect(out + err).toMatch(/Looking at \d+ things/);
  }, 60_000);

  it("refuses an unknown answer with exit code 2", async () => {
    expect((await duebase("doctor", "--answer", "stripe=perhaps")).code).toBe(2);
  }, 60_000);
});

describe("duebase go-live", () => {
  // The local stack is live from its start; a new project is not.
  beforeAll(() => doctor.sql`select billing.back_to_mirror()`);

  it("refuses while something is red, whatever was said beforehand, and changes nothing", async () => {
    await doctor.sql`update billing.settings set email_from = null where id`;
    const { code, err } = await duebase("go-live", "--yes");
    await doctor.sql`update billing.settings set email_from = 'Acme <billing@example.com>' where id`;
    expect(code).toBe(1);
    expect(err).toMatch(/Not live: .*email_from is not set/);
    expect(err).toMatch(/update billing\.settings set email_from/);
    expect(await mode()).toMatchObject({ mode: "mirror" });
  }, 60_000);

  it("refuses while the history is incomplete", async () => {
    await doctor.sql`
      insert into billing.outbox (kind, dedupe_key, payload, status, created_at, run_after)
      values ('refresh', 'refresh:of-history', '{}', 'pending', now() - interval '10 minutes', now() + interval '1 hour')`;
    const { code, err } = await duebase("go-live", "--yes");
    await doctor.sql`delete from billing.outbox where dedupe_key = 'refresh:of-history'`;
    expect(code).toBe(1);
    expect(err).toMatch(/history: 1 objects that events named/);
    expect(await mode()).toMatchObject({ mode: "mirror" });
  }, 60_000);

  it("refuses without a Stripe key, as nobody could say whether the history is complete", async () => {
    const { code, err } = await duebaseWith({ DUEBASE_STRIPE_SECRET_KEY: "" }, "go-live", "--yes");
    expect(code).toBe(1);
    expect(err).toMatch(/has no Stripe key.*\n?.*DUEBASE_STRIPE_SECRET_KEY/s);
    expect(await mode()).toMatchObject({ mode: "mirror" });
  }, 60_000);

  it("asks where something is amber, and without --yes does nothing where nobody can be asked", async () => {
    const { code, out, err } = await duebase("go-live");
    expect(code).toBe(1);
    expect(out).toMatch(/effects of before are withheld/);
    expect(err).toMatch(/Nobody is here to answer/);
    expect(await mode()).toMatchObject({ mode: "mirror" });
  }, 60_000);

  it("--dry-run shows what would happen and changes nothing", async () => {
    const { code, out } = await duebase("go-live", "--dry-run");
    expect(code).toBe(0);
    expect(out).toMatch(/debts of before open no case/);
    expect(await mode()).toMatchObject({ mode: "mirror" });
  }, 60_000);

  it("with --yes passes what is amber and goes live, out of a copy too; mirror leads back", async () => {
    // As in a copy whose functions have worked: nothing but the mode says so.
    await doctor.sql`update billing.settings set mode = 'live', project_ref = 'abcdefghijklmnopqrst' where id`;
    await doctor.sql`select billing_private.report_copy(now())`;
    const { results } = await doctor.diagnose(["mode", "jobs"]);
    expect(results.map(({ check, light }) => [check, light])).toEqual([
      ["mode", "red"],
      ["jobs", "green"],
    ]);
    const live = await duebase("go-live", "--yes");
    expect(live).toMatchObject({ code: 0 });
    expect(live.out).toMatch(/Live as local/);
    expect(await mode()).toEqual({ mode: "live", project_ref: "local" });
    const again = await duebase("go-live", "--yes");
    expect(again.out).toMatch(/live as local already/);
    const back = await duebase("mirror", "--yes");
    expect(back).toMatchObject({ code: 0 });
    expect(await mode()).toMatchObject({ mode: "mirror" });
  }, 120_000);
});
