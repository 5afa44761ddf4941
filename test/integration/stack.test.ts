import { createHash, randomBytes } from "node:crypto";
import { once } from "node:events";
import { readFile, rm } from "node:fs/promises";
import { type IncomingMessage, request } from "node:http";
import { join } from "node:path";
import { text } from "node:stream/consumers";
import { createClient } from "@supabase/supabase-js";
import getPort from "get-port";
import postgres from "postgres";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import ws from "ws";
import { serveStudioAssets } from "../../scripts/local/api/studio-assets.ts";
import { StackIsRunning } from "../../scripts/local/owner.ts";
import { isAlive } from "../../scripts/local/processes.ts";
import { type Stack, startStack } from "../../scripts/local/stack.ts";
import { eventually, isListening, makeStackProject, type StackProject } from "../support/stack-project.ts";

const hello = (greeting: string) => `
  Deno.serve(async (request) => {
    const url = new URL(request.url);
    const digest = await crypto.subtle.digest("SHA-256", await request.arrayBuffer());
    return Response.json({
      greeting: ${JSON.stringify(greeting)},
      path: url.pathname + url.search,
      method: request.method,
      sha256: [...new Uint8Array(digest)].map((byte) => byte.toString(16).padStart(2, "0")).join(""),
      signature: request.headers.get("stripe-signature"),
      env: Object.fromEntries(
        ["SUPABASE_URL", "SUPABASE_SECRET_KEYS", "DUEBASE_STRIPE_API_URL", "DUEBASE_LOCAL_STACK", "HOME"]
          .map((name) => [name, Deno.env.get(name)]),
      ),
    });
  });
`;

/** Answers once the whole body is there. */
const slow = (greeting: string) => `
  Deno.serve(async (request) => {
    console.log("asked by " + request.method);
    await request.arrayBuffer();
    return new Response(${JSON.stringify(greeting)});
  });
`;

const files = {
  "supabase/config.toml": `
    project_id = "test"
    [api]
    schemas = ["public", "graphql_public", "shop"]
    [functions.hello]
    verify_jwt = false
    [functions.slow]
    verify_jwt = false
  `,
  "supabase/migrations/20260101000000_shop.sql": `
    create extension if not exists pg_cron with schema pg_catalog;
    create schema shop;
    grant usage on schema shop to authenticated, service_role;
    create table shop.orders (id int primary key, owner uuid, made timestamptz default now());
    alter table shop.orders enable row level security;
    create policy own on shop.orders for select to authenticated using (owner = (select auth.uid()));
    grant select on shop.orders to authenticated;
    grant select, insert on shop.orders to service_role;
    create function shop.echo(value jsonb) returns jsonb language sql
      as $$ select jsonb_build_object('type', jsonb_typeof(value), 'value', value, 'role', current_user) $$;
    create function shop.refuse(state text) returns void language plpgsql
      as $$ begin raise exception using errcode = state, message = 'no', hint = 'try else'; end $$;
    create function shop.wait() returns void language sql as $$ select pg_sleep(30) $$;
    select cron.schedule('order', '0 0 1 1 *', 'insert into shop.orders values (99)');
  `,
  "supabase/seed.sql": "insert into shop.orders (id) values (1);",
  "supabase/functions/_duebase/unused.ts": "export const nothing = 0;",
  "supabase/functions/hello/index.ts": hello("hello"),
  "supabase/functions/guarded/index.ts": "Deno.serve(() => new Response('inside'));",
};

const anyPorts = { api: 0, db: 0, studio: 0, inbox: 0, stripe: 0 };

let project: StackProject;
let stack: Stack;

beforeAll(async () => {
  project = await makeStackProject(files);
  stack = await startStack({
    projectDirectory: project.directory,
    ports: anyPorts,
    fsync: false,
    seed: true,
  });
});

afterAll(async () => {
  await stack?.stop();
  await project?.remove();
});

const options = { auth: { persistSession: false }, realtime: { transport: ws as never } };
const service = () => createClient(stack.status.API_URL, stack.status.SECRET_KEY, options);
const visitor = () => createClient(stack.status.API_URL, stack.status.PUBLISHABLE_KEY, options);
const callHello = async (init?: RequestInit, path = "hello") => {
  const asked = performance.now();
  const response = await fetch(`${stack.status.FUNCTIONS_URL}/${path}`, init);
  const waited = performance.now() - asked;
  return { status: response.status, headers: response.headers, body: await response.text(), waited };
};
/** Whether a request was refused after the five seconds that it waits for its function; a busy machine takes longer to start one. */
const waitedInVain = ({ headers, waited }: Awaited<ReturnType<typeof callHello>>) =>
  headers.get("sb-error-code") === "BOOT_ERROR" && waited > 4_900;

test("status.json says where everything is, with the names of supabase status", async () => {
  const written = JSON.parse(await readFile(join(project.stackDirectory, "status.json"), "utf8"));
  expect(written).toEqual(stack.status);
  expect(Object.keys(written).sort()).toEqual([
    "API_URL",
    "DB_URL",
    "FUNCTIONS_URL",
    "INBOX_URL",
    "OWNER_PID",
    "PUBLISHABLE_KEY",
    "SECRET_KEY",
    "STRIPE_API_URL",
    "STRIPE_WEBHOOK_SECRET",
    "STUDIO_URL",
  ]);
  expect(written.OWNER_PID).toBe(process.pid);
});

test("a second stack in the same folder is refused, and the first goes on", async () => {
  await expect(startStack({ projectDirectory: project.directory, ports: anyPorts })).rejects.toThrow(
    StackIsRunning,
  );
  expect((await callHello()).status).toBe(200);
});

describe("database and Data API", () => {
  test("migrations were applied by the CLI as postgres, and a new database was seeded once", async () => {
    const sql = postgres(stack.status.DB_URL, { max: 1 });
    expect(await sql`select version from supabase_migrations.schema_migrations`).toEqual([
      { version: "20260101000000" },
    ]);
    expect(await sql`select tableowner from pg_tables where tablename = 'orders'`).toEqual([
      { tableowner: "postgres" },
    ]);
    expect(await sql`select id from shop.orders where id = 1`).toHaveLength(1);
    await sql.end();
  });

  test("a request takes the role of its key, and JSON arguments arrive as JSON", async () => {
    const { data } = await service()
      .schema("shop")
      .rpc("echo", { value: { deep: ["a", 1] } });
    expect(data).toEqual({ type: "object", value: { deep: ["a", 1] }, role: "service_role" });
    const { data: text } = await service().schema("shop").rpc("echo", { value: "plain words" });
    expect(text).toMatchObject({ type: "string", value: "plain words" });
  });

  test("what no migration grants stays closed, row level security or not", async () => {
    expect((await visitor().schema("shop").from("orders").select()).error).toMatchObject({ code: "42501" });
    const { error } = await service().schema("shop").from("orders").delete().eq("id", 1);
    expect(error).toMatchObject({ code: "42501" });
  });

  test("a signed-in user sees their own rows and no others", async () => {
    const user = visitor();
    const { data } = await user.auth.signUp({ email: "user@example.com", password: "a-good-password" });
    const id = data.user?.id;
    expect(data.user?.email_confirmed_at).toBeTruthy();
    await service()
      .schema("shop")
      .from("orders")
      .insert([{ id: 2, owner: id }, { id: 3 }]);
    expect((await user.schema("shop").from("orders").select("id")).data).toEqual([{ id: 2 }]);
  });

  test("a schema that config.toml does not name is not there", async () => {
    expect((await service().schema("auth").from("users").select()).error).toMatchObject({ code: "PGRST106" });
  });

  test("without a key there is no access", async () => {
    expect((await fetch(`${stack.status.API_URL}/rest/v1/orders`)).status).toBe(401);
  });

  test.each([
    ["DU001", 400],
    ["P0001", 400],
    ["23514", 400],
    ["40P01", 500],
    ["57014", 500],
    ["53300", 503],
    ["08006", 503],
  ])("SQLSTATE %s reaches the caller as it is, with status %i as from PostgREST", async (state, status) => {
    const answer = await service().schema("shop").rpc("refuse", { state });
    expect(answer.status).toBe(status);
    expect(answer.error).toMatchObject({ code: state, message: "no", hint: "try else" });
  });

  test("a statement of anon ends after its three seconds", async () => {
    const sql = postgres(stack.status.DB_URL, { max: 1 });
    await sql`grant usage on schema shop to anon`;
    const began = performance.now();
    const { error } = await visitor().schema("shop").rpc("wait");
    expect(error).toMatchObject({ code: "57014" });
    expect(performance.now() - began).toBeLessThan(7_000);
    await sql`revoke usage on schema shop from anon`;
    await sql.end();
  });

  test("a table made while the stack runs is there for the API", async () => {
    const sql = postgres(stack.status.DB_URL, { max: 1 });
    await sql.unsafe("create table public.fresh (id int primary key); insert into public.fresh values (7)");
    await sql.end();
    await eventually("the API knows the table", async () => {
      const { data } = await service().from("fresh").select();
      return data?.length === 1;
    });
  });

  test("cron jobs run on request", async () => {
    expect(await stack.runCronJob("order")).toMatchObject({
      status: "succeeded",
      return_message: "INSERT 0 1",
    });
    await expect(stack.runCronJob("nobody")).rejects.toThrow("there is no cron job nobody");
  });

  test("Vault knows where the functions are and the secret that cron jobs show them", async () => {
    const sql = postgres(stack.status.DB_URL, { max: 1 });
    const secrets = await sql`select name, decrypted_secret from vault.decrypted_secrets order by name`;
    await sql.end();
    expect(secrets).toEqual([
      { name: "duebase_cron_secret", decrypted_secret: expect.stringMatching(/./) },
      { name: "duebase_functions_url", decrypted_secret: stack.status.FUNCTIONS_URL },
    ]);
  });

  test("Studio's page, its assets and its tables are served, also those the API roles may not see", async () => {
    const page = await (await fetch(stack.status.STUDIO_URL)).text();
    const script = /src="(\/static\/[^"]+\.js)"/.exec(page)?.[1];
    const asset = await fetch(`${stack.status.STUDIO_URL}${script}`);
    expect(asset.headers.get("content-type")).toBe("text/javascript");
    await asset.body?.cancel();
    const rows = await fetch(`${stack.status.STUDIO_URL}/rest/v1/job?select=jobname`, {
      headers: { "accept-profile": "cron" },
    });
    expect(await rows.json()).toEqual([{ jobname: "order" }]);
    expect((await serveStudioAssets("/static/../../../package.json")).status).toBe(404);
  });
});

describe("edge functions", () => {
  test("get the very bytes that were sent, their headers, and the path without /functions/v1", async () => {
    const body = randomBytes(700_000);
    const answer = await callHello(
      { method: "POST", body, headers: { "stripe-signature": "t=1,v1=example" } },
      "hello/deeper?a=1",
    );
    expect(JSON.parse(answer.body)).toMatchObject({
      path: "/hello/deeper?a=1",
      method: "POST",
      sha256: createHash("sha256").update(body).digest("hex"),
      signature: "t=1,v1=example",
    });
  });

  test("have the platform's environment and the stack's, and nothing of this machine's", async () => {
    const { env } = JSON.parse((await callHello()).body);
    expect(env).toEqual({
      SUPABASE_URL: stack.status.API_URL,
      SUPABASE_SECRET_KEYS: JSON.stringify({ default: stack.status.SECRET_KEY }),
      DUEBASE_STRIPE_API_URL: stack.status.STRIPE_API_URL,
      DUEBASE_LOCAL_STACK: "1",
    });
  });

  test("are the folders with an index.ts; no others", async () => {
    expect(stack.functions.names.sort()).toEqual(["guarded", "hello"]);
    expect((await callHello({}, "_duebase")).status).toBe(404);
    expect((await callHello({}, "nobody")).status).toBe(404);
  });

  test("need a user's valid token unless config.toml says otherwise", async () => {
    const user = visitor();
    const { data } = await user.auth.signUp({ email: "guest@example.com", password: "a-good-password" });
    const call = async (authorization?: string) =>
      (await callHello({ headers: authorization ? { authorization } : {} }, "guarded")).status;
    expect(await call()).toBe(401);
    expect(await call("Bearer nonsense")).toBe(401);
    expect(await call(`Bearer ${stack.status.SECRET_KEY}`)).toBe(401);
    const token = data.session?.access_token ?? "";
    expect(await call(`Bearer ${token.slice(0, -3)}AAA`)).toBe(401);
    expect(await call(`Bearer ${token}`)).toBe(200);
  });

  test("are reloaded when their file changes, and requests meanwhile wait", async () => {
    await project.write("supabase/functions/hello/index.ts", hello("goodbye"));
    await eventually(
      "the new text is served",
      async () => {
        const answer = await callHello();
        if (waitedInVain(answer)) return false;
        expect(answer.status).toBe(200);
        return JSON.parse(answer.body).greeting === "goodbye";
      },
      30_000,
    );
  });

  test("answer what they were asked before their file changed, and what comes later from the new file", async () => {
    await project.write("supabase/functions/slow/index.ts", slow("before"));
    await eventually("it serves", async () => (await callHello({}, "slow")).body === "before");
    const pid = stack.functions.get("slow")?.pid ?? 0;
    const sent = request(`${stack.status.FUNCTIONS_URL}/slow`, { method: "POST" });
    const answered = once(sent, "response") as Promise<[IncomingMessage]>;
    sent.write("the first half");
    await eventually("it is being answered", async () =>
      (await readFile(join(project.stackDirectory, "logs", "slow.log"), "utf8")).includes("asked by POST"),
    );
    await project.write("supabase/functions/slow/index.ts", slow("after"));
    await eventually(
      "the new file answers",
      async () => {
        const answer = await callHello({}, "slow");
        if (waitedInVain(answer)) return false;
        expect(answer.status).toBe(200);
        return answer.body === "after";
      },
      30_000,
    );
    expect(isAlive(pid)).toBe(true);
    sent.end("the second half");
    const [answer] = await answered;
    expect([answer.statusCode, await text(answer)]).toEqual([200, "before"]);
    await eventually("the former process is gone", () => !isAlive(pid));
    await rm(join(project.directory, "supabase/functions/slow"), { recursive: true });
    await eventually("the function is gone", async () => (await callHello({}, "slow")).status === 404);
  });

  test("are started when their folder appears, and ended when it goes", async () => {
    await project.write("supabase/functions/later/index.ts", "Deno.serve(() => new Response('here'));");
    await eventually("the new function serves", async () => {
      const token = await visitor().auth.signInWithPassword({
        email: "guest@example.com",
        password: "a-good-password",
      });
      const headers = { authorization: `Bearer ${token.data.session?.access_token}` };
      return (await callHello({ headers }, "later")).body === "here";
    });
    const pid = stack.functions.get("later")?.pid ?? 0;
    await rm(join(project.directory, "supabase/functions/later"), { recursive: true });
    await eventually("the function is gone", async () => (await callHello({}, "later")).status === 404);
    await eventually("its process is gone", () => !isAlive(pid));
  });

  test("start again by themselves after being killed", async () => {
    const before = stack.functions.get("hello")?.pid;
    await stack.functions.kill("hello");
    await stack.functions.ready(30_000);
    expect((await callHello()).status).toBe(200);
    expect(stack.functions.get("hello")?.pid).not.toBe(before);
  });

  test("that cannot start answer 503 with retry-after, and serve once they are mended", async () => {
    await project.write("supabase/functions/hello/index.ts", "throw new Error('on purpose');");
    await eventually(
      "the broken function is refused",
      async () => {
        const { status, headers } = await callHello();
        return status === 503 && headers.get("retry-after") === "1";
      },
      30_000,
    );
    await eventually("its log says why", async () =>
      (await readFile(join(project.stackDirectory, "logs", "hello.log"), "utf8")).includes("on purpose"),
    );
    await project.write("supabase/functions/hello/index.ts", hello("mended"));
    await eventually("it serves again", async () => (await callHello()).status === 200, 30_000);
  });
});

test("a database that was stopped like a crash is found again by the API", async () => {
  await stack.postgres.stopImmediate();
  const { status, error } = await service().schema("shop").rpc("echo", { value: 1 });
  expect({ status, code: error?.code }).toEqual({ status: 503, code: "PGRST001" });
  await stack.postgres.start();
  await eventually("the API answers", async () => {
    const { data } = await service().schema("shop").from("orders").select("id").eq("id", 1);
    return data?.length === 1;
  });
});

test("two stacks run side by side, each on ports of its own where the wanted ones are taken", async () => {
  const other = await makeStackProject(files);
  const wanted = {
    api: Number(new URL(stack.status.API_URL).port),
    db: stack.postgres.port,
    studio: Number(new URL(stack.status.STUDIO_URL).port),
    stripe: Number(new URL(stack.status.STRIPE_API_URL).port),
    inbox: stack.inbox.port,
  };
  const second = await startStack({ projectDirectory: other.directory, ports: wanted, fsync: false });
  try {
    for (const key of [
      "API_URL",
      "DB_URL",
      "STUDIO_URL",
      "INBOX_URL",
      "STRIPE_API_URL",
      "FUNCTIONS_URL",
    ] as const) {
      expect(second.status[key]).not.toBe(stack.status[key]);
    }
    expect((await fetch(`${second.status.FUNCTIONS_URL}/hello`)).status).toBe(200);
    expect((await callHello()).status).toBe(200);
  } finally {
    await second.stop();
    await other.remove();
  }
});

test("a stack that cannot start ends what it had begun", async () => {
  const broken = await makeStackProject({
    ...files,
    "supabase/migrations/20260101000001_broken.sql": "select no_such_function();",
  });
  const db = await getPort();
  await expect(
    startStack({ projectDirectory: broken.directory, ports: { ...anyPorts, db }, fsync: false }),
  ).rejects.toThrow("no_such_function");
  expect(await isListening(db)).toBe(false);
  await expect(
    startStack({ projectDirectory: broken.directory, ports: { ...anyPorts, db }, fsync: false }),
  ).rejects.not.toThrow(StackIsRunning);
  await broken.remove();
});

test("stop leaves no process, no listening port and no status.json; the next start begins clean", async () => {
  const ending = await makeStackProject(files);
  const brief = await startStack({ projectDirectory: ending.directory, ports: anyPorts, fsync: false });
  const pids = [brief.postgres.pid, brief.functions.get("hello")?.pid, brief.functions.get("guarded")?.pid];
  const urls = [brief.status.API_URL, brief.status.STUDIO_URL, brief.status.STRIPE_API_URL, brief.inbox.url];
  const ports = [brief.postgres.port, ...urls.map((url) => Number(new URL(url).port))];
  await brief.stop();
  for (const pid of pids) expect(pid && isAlive(pid)).toBe(false);
  for (const port of ports) expect(await isListening(port)).toBe(false);
  await expect(readFile(join(ending.stackDirectory, "status.json"))).rejects.toMatchObject({
    code: "ENOENT",
  });
  await ending.remove();
});
