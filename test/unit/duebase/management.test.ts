import { afterEach, beforeEach, describe, expect, test } from "vitest";
import {
  ManagementApi,
  ManagementError,
  requireAccessToken,
  requireProjectRef,
  secretDigest,
} from "../../../scripts/duebase/connections/management.ts";
import { type LocalManagement, startLocalManagement } from "../../../scripts/local/management/server.ts";

const ref = "abcdefghijklmnopqrst";
let supabase: LocalManagement;
let waits: number[];

beforeEach(async () => {
  supabase = await startLocalManagement({ port: 0, ref });
  waits = [];
});
afterEach(() => supabase.close());

function api(overrides: Partial<ConstructorParameters<typeof ManagementApi>[0]> = {}): ManagementApi {
  return new ManagementApi({
    projectRef: ref,
    accessToken: supabase.accessToken,
    apiUrl: supabase.url,
    timeout: 2_000,
    wait: async (milliseconds) => waits.push(milliseconds),
    ...overrides,
  });
}

async function refusalOf(work: Promise<unknown>): Promise<ManagementError> {
  const error = await work.then(
    () => new Error("it was not refused"),
    (thrown: unknown) => thrown,
  );
  if (error instanceof ManagementError) return error;
  throw error;
}

describe("what a project has", () => {
  test("secrets are shown by the digest of their value, and set without touching others", async () => {
    await api().setSecrets({ THEIRS: "one", DUEBASE_CRON_SECRET: "two" });
    await api().setSecrets({ DUEBASE_CRON_SECRET: "three" });
    expect([...(await api().secretDigests())]).toEqual([
      ["DUEBASE_CRON_SECRET", secretDigest("three")],
      ["THEIRS", secretDigest("one")],
    ]);
    await api().deleteSecrets(["DUEBASE_CRON_SECRET", "NEVER_SET"]);
    expect([...supabase.project.secrets]).toEqual([["THEIRS", "one"]]);
  });

  test("exposed schemas keep their order", async () => {
    await api().exposeSchemas([...(await api().exposedSchemas()), "billing"]);
    expect(await api().exposedSchemas()).toEqual(["public", "graphql_public", "billing"]);
  });

  test("functions are listed and taken away, and one that is gone is no error", async () => {
    supabase.project.deploy("theirs", { verifyJwt: true });
    supabase.project.deploy("duebase-deliver");
    expect(await api().functions()).toMatchObject([
      { slug: "theirs", verify_jwt: true, version: 1 },
      { slug: "duebase-deliver", verify_jwt: false },
    ]);
    await api().deleteFunction("duebase-deliver");
    await api().deleteFunction("duebase-deliver");
    expect((await api().functions()).map(({ slug }) => slug)).toEqual(["theirs"]);
  });

  test("the project tells whether it runs", async () => {
    expect(await api().project()).toMatchObject({ id: ref, status: "ACTIVE_HEALTHY" });
  });

  test("secret keys are revealed only to a token that may", async () => {
    expect(await api().apiKeys({ reveal: false })).toMatchObject([
      { type: "publishable" },
      { type: "secret" },
    ]);
    supabase.permissions.delete("api_gateway_keys_secret_read");
    expect((await refusalOf(api().apiKeys({ reveal: true }))).status).toBe(403);
  });
});

describe("what Supabase refuses", () => {
  test("a token that is not good is said to be so, and is not shown", async () => {
    const { status, message, cure } = await refusalOf(api({ accessToken: "sbp_example_wrong" }).project());
    expect(status).toBe(401);
    expect(cure).toContain("SUPABASE_ACCESS_TOKEN");
    expect(message + cure).not.toContain("sbp_example_wrong");
  });

  test.each([
    ["project_admin_read", "Project Settings (read)", (it: ManagementApi) => it.project()],
    ["edge_functions_read", "Edge Functions (read)", (it: ManagementApi) => it.functions()],
    ["edge_functions_write", "Edge Functions (read-write)", (it: ManagementApi) => it.deleteFunction("x")],
    [
      "edge_functions_secrets_read",
      "Edge Function Secrets (read)",
      (it: ManagementApi) => it.secretDigests(),
    ],
    [
      "edge_functions_secrets_write",
      "Edge Function Secrets (read-write)",
      (it: ManagementApi) => it.setSecrets({ A: "b" }),
    ],
    ["data_api_config_read", "Data API Config (read)", (it: ManagementApi) => it.exposedSchemas()],
    [
      "data_api_config_write",
      "Data API Config (read-write)",
      (it: ManagementApi) => it.exposeSchemas(["public"]),
    ],
    ["api_gateway_keys_read", "API Keys (read)", (it: ManagementApi) => it.apiKeys({ reveal: false })],
  ] as const)("without %s the permission is named: %s", async (permission, name, call) => {
    supabase.permissions.delete(permission);
    const error = await refusalOf(call(api()));
    expect(error).toMatchObject({ status: 403, permission: name });
    expect(error.cure).toContain(name);
  });

  test("another project is not found", async () => {
    const error = await refusalOf(api({ projectRef: "zzzzzzzzzzzzzzzzzzzz" }).project());
    expect(error).toMatchObject({ status: 404 });
    expect(error.message).toContain("zzzzzzzzzzzzzzzzzzzz");
  });

  test("a secret that Supabase repeats in its refusal is not passed on", async () => {
    supabase.faults.add({
      action: { kind: "error", status: 400, message: "value whsec_example is too short" },
    });
    const error = await refusalOf(api().setSecrets({ A: "whsec_example" }));
    expect(error.message).toContain("value *** is too short");
  });
});

describe("what passes", () => {
  test("a limit is waited for as long as Supabase says, and no longer than a minute", async () => {
    const limited = (headers: Record<string, string>) =>
      supabase.faults.add({ action: { kind: "error", status: 429, headers } });
    limited({ "x-ratelimit-reset": "17" });
    limited({ "retry-after": "3" });
    limited({ "x-ratelimit-reset": "3600" });
    await api().project();
    expect(waits).toEqual([17_000, 3_000, 60_000]);
  });

  test("a limit that does not end is an error that says so", async () => {
    supabase.faults.add({ action: { kind: "error", status: 429 }, times: 10 });
    expect((await refusalOf(api().project())).status).toBe(429);
    expect(supabase.ledger.requests).toHaveLength(4);
  });

  test("a failure of Supabase and a cut connection are tried again", async () => {
    supabase.faults.add({ action: { kind: "error", status: 502 } });
    supabase.faults.add({ action: { kind: "reset" } });
    supabase.faults.add({ action: { kind: "reset-after-effect" } });
    await api().setSecrets({ A: "b" });
    expect([...supabase.project.secrets]).toEqual([["A", "b"]]);
    expect(supabase.ledger.requests).toHaveLength(4);
  });

  test("no answer at all is an error after a bounded time", async () => {
    supabase.faults.add({ action: { kind: "hang" }, times: 10 });
    await expect(api({ timeout: 50 }).project()).rejects.toMatchObject({
      name: "NoAnswer",
      message: `Supabase did not answer GET /v1/projects/${ref} in time.`,
    });
  });
});

describe("which project, and by whom", () => {
  const project = { root: "/nowhere", supabase: "/nowhere/supabase" };

  test("an option goes before the variable, and nothing named is said to be so", () => {
    expect(requireProjectRef(project, ref, { SUPABASE_PROJECT_ID: "zzzzzzzzzzzzzzzzzzzz" })).toBe(ref);
    expect(requireProjectRef(project, undefined, { SUPABASE_PROJECT_ID: ref })).toBe(ref);
    expect(() => requireProjectRef(project, undefined, {})).toThrow("No hosted project was named");
    expect(() => requireProjectRef(project, "https://x.supabase.co", {})).toThrow(
      "--project-ref is no project ref",
    );
  });

  test("without a token it says where to make one", () => {
    expect(requireAccessToken({ SUPABASE_ACCESS_TOKEN: " sbp_example \n" })).toBe("sbp_example");
    expect(() => requireAccessToken({ SUPABASE_ACCESS_TOKEN: " " })).toThrow(
      "SUPABASE_ACCESS_TOKEN is not set",
    );
  });
});
