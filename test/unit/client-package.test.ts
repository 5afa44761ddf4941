import { execFile } from "node:child_process";
import { copyFile, mkdir, mkdtemp, rm, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { afterAll, beforeAll, expect, test } from "vitest";
import { buildClient } from "../../scripts/build-client.ts";
import { projectRoot } from "../../scripts/local/project.ts";

// `duebase/client` as an application has it: built, in node_modules, without anything of this repository beside it.

const run = promisify(execFile);
let folder: string;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "duebase-client-"));
  const installed = join(folder, "node_modules", "duebase");
  await mkdir(join(installed, "dist"), { recursive: true });
  await copyFile(join(projectRoot, "package.json"), join(installed, "package.json"));
  await buildClient(join(installed, "dist"));
  await symlink(join(projectRoot, "node_modules", "@supabase"), join(folder, "node_modules", "@supabase"));
  await writeFile(join(folder, "package.json"), '{ "type": "module", "private": true }');
});
afterAll(() => rm(folder, { recursive: true, force: true }));

test("is typed by the database, also for a client with the application's own types", async () => {
  const source = `
    import { createClient } from "@supabase/supabase-js";
    import { billing, openCheckout, readBillingStatus, severityOf } from "duebase/client";
    type Own = { public: { Tables: { notes: { Row: { id: number }; Insert: {}; Update: {}; Relationships: [] } }; Views: {}; Functions: {} } };
    const supabase = createClient<Own>("http://127.0.0.1:1", "key");
    const url: string = await openCheckout(supabase, { price: "price_1", successUrl: "/a", cancelUrl: "/b" });
    const [status] = await readBillingStatus(supabase, url);
    const amount: number | null | undefined = status?.amount_due;
    const severity: "notice" | "reminder" | "final" | undefined = status && severityOf(status, new Date());
    const { data } = await billing(supabase).from("entitlements").select("feature");
    const feature: string | undefined = data?.[0]?.feature;
    // @ts-expect-error amounts are null for members
    const certain: number | undefined = status?.amount_due;
    // @ts-expect-error there is no such table
    billing(supabase).from("nothing");
    console.log(amount, severity, feature, certain);
  `;
  await writeFile(join(folder, "use.ts"), source);
  const options =
    "--noEmit --strict --module nodenext --target es2023 --lib es2023,dom --skipLibCheck --types";
  const tsc = join(projectRoot, "node_modules", ".bin", "tsc");
  const { stdout } = await run(tsc, [...options.split(" "), "", "use.ts"], { cwd: folder }).catch((it) => it);
  expect(stdout).toBe("");
});

test("runs without a bundler", async () => {
  await writeFile(
    join(folder, "run.js"),
    `import * as client from "duebase/client"; console.log(Object.keys(client).sort().join());`,
  );
  const { stdout } = await run(process.execPath, ["run.js"], { cwd: folder });
  expect(stdout.trim()).toBe(
    "BillingRequestError,billing,onBillingChange,openCheckout,openPortal,readBillingStatus,severityOf,waitForBilling",
  );
});
