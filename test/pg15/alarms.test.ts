import { once } from "node:events";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { setTimeout as delay } from "node:timers/promises";
import postgres, { type Sql } from "postgres";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type NetWorker, startNet } from "../../scripts/local/net.ts";
import {
  type DebianPostgres,
  debianPostgresMissing,
  startDebianPostgres,
} from "../support/debian-postgres.ts";

const missing = debianPostgresMissing();
const MINUTE = 60_000;

/** Real minutes of the real pg_cron: what is broken is told on loopback, without any function, and so is its end. */
describe.skipIf(missing)(`alarms by the real pg_cron${missing ? `: ${missing}` : ""}`, () => {
  let server: DebianPostgres;
  let sql: Sql;
  let net: NetWorker;
  let listener: Server;
  /** What duebase-deliver answers. */
  let answer = { status: 401, headers: { "duebase-release": "0.1.0" } };
  const told: { text: string; at: number }[] = [];

  beforeAll(async () => {
    listener = createServer((request, response) => {
      let body = "";
      request.on("data", (chunk) => (body += chunk));
      request.on("end", () => {
        if (request.url === "/chat") {
          told.push({ text: JSON.parse(body).text, at: Date.now() });
          response.writeHead(200).end("ok");
        } else response.writeHead(answer.status, answer.headers).end("{}");
      });
    });
    listener.listen(0, "127.0.0.1");
    await once(listener, "listening");
    const address = `http://127.0.0.1:${(listener.address() as AddressInfo).port}`;
    server = await startDebianPostgres();
    net = startNet(server.url, { write: () => {} } as never);
    sql = postgres(server.url, { max: 1, onnotice: () => {} });
    await sql`select vault.create_secret(${`${address}/functions`}, 'duebase_functions_url')`;
    await sql`select vault.create_secret('cron-secret-example', 'duebase_cron_secret')`;
    await sql`select vault.create_secret(${`${address}/chat`}, 'duebase_alert_webhook_url')`;
    // No daily run begins meanwhile, which would be called in vain too: its hour is as far away as an hour can be.
    await sql`
      update billing.settings
      set dunning_hour = extract(hour from now() at time zone 'UTC' + interval '12 hours') where id`;
    // pg_cron 1.4 may miss jobs of the transaction that created it, until one is scheduled again: the cure of the check tick.
    await sql`select billing_private.schedule_tick()`;
  });
  afterAll(async () => {
    await net?.stop();
    await sql?.end();
    listener?.close();
    await server?.remove();
  });

  async function toldOf(what: string, within: number): Promise<{ text: string; at: number }> {
    const deadline = Date.now() + within;
    for (;;) {
      const found = told.find(({ text }) => text.includes(what));
      if (found) return found;
      if (Date.now() > deadline) {
        const rows = await sql`select name, meaning from billing.check_health() where status = 'red'`;
        const runs =
          await sql`select status, return_message, start_time from cron.job_run_details order by start_time desc limit 5`;
        throw new Error(
          `not told of "${what}" in time: ${JSON.stringify(rows)}; cron: ${JSON.stringify(runs)}; told: ${JSON.stringify(told)}`,
        );
      }
      await delay(200);
    }
  }

  test("a wrong cron secret is told within three minutes, with its cure, and its end once it is right", {
    timeout: 8 * MINUTE,
  }, async () => {
    const began = Date.now();
    await sql`select billing_private.enqueue('refresh', 'anything', '{"object": "customer", "id": "cus_1"}', now())`;
    const red = await toldOf("RED call-deliver: ", 3 * MINUTE);
    expect(red.text).toMatch(/RED call-deliver: .*refuses.*To do: .*duebase_cron_secret/);
    console.log(`told after ${Math.round((red.at - began) / 1000)} s`);

    const mended = Date.now();
    answer = { ...answer, status: 202 };
    const over = await toldOf("OVER call-deliver: ", 4 * MINUTE);
    console.log(`over after ${Math.round((over.at - mended) / 1000)} s`);
    expect(told.filter(({ text }) => text.includes("call-deliver"))).toHaveLength(2);
    expect(
      await sql`select name, times_told, told_by, end_told_at is not null as is_end_told from billing.alarms`,
    ).toEqual([{ name: "call-deliver", times_told: 1, told_by: "database", is_end_told: true }]);
    expect(await sql`select status from billing.check_health() where name = 'call-deliver'`).toEqual([
      { status: "green" },
    ]);
  });
});
