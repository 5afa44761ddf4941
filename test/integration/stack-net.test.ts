import { mkdtemp } from "node:fs/promises";
import { createServer, type IncomingHttpHeaders, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import postgres from "postgres";
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from "vitest";
import { type NetWorker, startNet } from "../../scripts/local/net.ts";
import {
  type LocalPostgres,
  removePostgresData,
  startPostgres,
} from "../../scripts/local/postgres/server.ts";
import { eventually } from "../support/stack-project.ts";

interface Seen {
  method: string;
  path: string;
  headers: IncomingHttpHeaders;
  body: string;
}

let directory: string;
let server: LocalPostgres;
let sql: postgres.Sql;
let receiver: Server;
let url: string;
let worker: NetWorker;
const seen: Seen[] = [];

beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), "duebase-net-"));
  server = await startPostgres({ directory, fsync: false });
  sql = postgres(server.url, { max: 4, onnotice: () => {} });
  await sql.unsafe("create extension if not exists pg_net with schema extensions");
  receiver = createServer(async (request, response) => {
    let body = "";
    for await (const chunk of request) body += chunk;
    seen.push({ method: request.method ?? "", path: request.url ?? "", headers: request.headers, body });
    if (request.url?.startsWith("/never")) return;
    const redirect = /^\/moved\/(\d+)/.exec(request.url ?? "")?.[1];
    if (redirect) {
      response.writeHead(Number(redirect), { location: "/moved-to" }).end();
      return;
    }
    response.writeHead(202, { "content-type": "text/plain" });
    response.end("received");
  });
  await new Promise<void>((resolve) => receiver.listen(0, "127.0.0.1", resolve));
  url = `http://127.0.0.1:${(receiver.address() as AddressInfo).port}`;
});

afterAll(async () => {
  receiver?.closeAllConnections();
  receiver?.close();
  await sql?.end();
  await server?.stop();
  await removePostgresData(directory);
});

beforeEach(() => {
  seen.length = 0;
  worker = startNet(server.adminUrl, { write() {} });
});

afterEach(() => worker.stop());

const responseTo = (id: unknown) =>
  eventually("the answer is recorded", async () => {
    const [row] = await sql`
      select status_code, content_type, content, timed_out, error_msg from net._http_response where id = ${String(id)}
    `;
    return row;
  });

test("a POST carries its JSON body, its headers and its parameters, and the answer is recorded", async () => {
  const [{ id } = {}] = await sql`
    select net.http_post(
      url := ${`${url}/hook?a=1`},
      body := '{"due": [1, 2]}',
      params := '{"name": "é &"}',
      headers := '{"x-secret": "example"}'
    ) as id
  `;
  expect(await responseTo(id)).toEqual({
    status_code: 202,
    content_type: "text/plain",
    content: "received",
    timed_out: false,
    error_msg: null,
  });
  expect(seen).toHaveLength(1);
  expect(seen[0]).toMatchObject({
    method: "POST",
    path: "/hook?a=1&name=%C3%A9%20%26",
    headers: { "content-type": "application/json", "x-secret": "example" },
  });
  expect(JSON.parse(seen[0]?.body ?? "")).toEqual({ due: [1, 2] });
});

test("GET and DELETE are sent too", async () => {
  const [{ get, gone } = {}] = await sql`
    select net.http_get(${`${url}/thing`}) as get, net.http_delete(${`${url}/thing`}) as gone
  `;
  await responseTo(get);
  await responseTo(gone);
  expect(seen.map(({ method }) => method).sort()).toEqual(["DELETE", "GET"]);
});

test("nothing is sent before the transaction commits, and nothing at all when it rolls back", async () => {
  const undone = new Error("undone");
  await sql
    .begin(async (transaction) => {
      await transaction`select net.http_post(${`${url}/undone`})`;
      await worker.flush();
      throw undone;
    })
    .catch((error) => expect(error).toBe(undone));
  const { id } = await sql.begin(async (transaction) => {
    const [row] = await transaction`select net.http_post(${`${url}/done`}) as id`;
    await worker.flush();
    expect(seen).toEqual([]);
    return { id: row?.id };
  });
  await responseTo(id);
  await worker.flush();
  expect(seen.map(({ path }) => path)).toEqual(["/done"]);
});

test("a slow server is given up on after the request's own timeout", async () => {
  const [{ id } = {}] = await sql`select net.http_get(${`${url}/never`}, timeout_milliseconds := 200) as id`;
  expect(await responseTo(id)).toMatchObject({ status_code: null, timed_out: true });
});

test("a server that is not there is an error on record, not one of the caller", async () => {
  const [{ id } = {}] = await sql`select net.http_get('http://127.0.0.1:1/') as id`;
  const answer = await responseTo(id);
  expect(answer).toMatchObject({ status_code: null, timed_out: false });
  expect(answer.error_msg).not.toBe("");
});

test.each([
  [301, "GET"],
  [302, "GET"],
  [303, "GET"],
  [307, "POST"],
  [308, "POST"],
])("a POST that is answered %i is followed with a %s", async (status, method) => {
  const [{ id } = {}] =
    await sql`select net.http_post(${`${url}/moved/${status}`}, body := '{"a": 1}') as id`;
  expect(await responseTo(id)).toMatchObject({ status_code: 202 });
  expect(seen.map((one) => [one.method, one.path, one.body])).toEqual([
    ["POST", `/moved/${status}`, '{"a": 1}'],
    [method, "/moved-to", method === "POST" ? '{"a": 1}' : ""],
  ]);
});

test("the answers of a batch are written together, as late as its slowest", async () => {
  const [{ quick, slow } = {}] = await sql`
    select net.http_get(${`${url}/quick`}) as quick, net.http_get(${`${url}/never`}, timeout_milliseconds := 3000) as slow
  `;
  await eventually("both were sent", async () => seen.length === 2);
  expect(await sql`select from net._http_response where id = ${String(quick)}`).toEqual([]);
  await responseTo(slow);
  await responseTo(quick);
  const times =
    await sql`select count(distinct created)::integer as times from net._http_response where id in (${String(quick)}, ${String(slow)})`;
  expect(times).toEqual([{ times: 1 }]);
});

test("an answer is kept for six hours, and then until the worker is woken for something else", async () => {
  await sql`insert into net._http_response (id, created) values (-1, now() - interval '7 hours'), (-2, now())`;
  const kept = async () =>
    (await sql`select id::integer from net._http_response where id < 0 order by id desc`).map(({ id }) => id);
  // The worker looks by itself every second.
  const looks = performance.now() + 1_500;
  await eventually("it has looked", async () => performance.now() > looks);
  expect(await kept()).toEqual([-1, -2]);
  const [{ id } = {}] = await sql`select net.http_get(${url}) as id`;
  await responseTo(id);
  expect(await kept()).toEqual([-2]);
});

test("only JSON is posted", async () => {
  await expect(
    sql`select net.http_post(${url}, headers := '{"Content-Type": "text/plain"}')`,
  ).rejects.toThrow('Content-Type header must be "application/json"');
});

test("what waits in the queue is lost in a crash, as with the real one, and later requests are sent", async () => {
  await worker.stop();
  await sql`select net.http_post(${`${url}/lost`})`;
  await server.stopImmediate();
  await server.start();
  worker = startNet(server.adminUrl, { write() {} });
  const [{ id } = {}] = await eventually("the database answers", () =>
    sql`select net.http_post(${`${url}/after`}) as id`.catch(() => undefined),
  );
  await responseTo(id);
  expect(seen.map(({ path }) => path)).toEqual(["/after"]);
});
