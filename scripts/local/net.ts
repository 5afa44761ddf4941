import type postgres from "postgres";
import type { LineLog } from "./log.ts";
import { openSql } from "./sql.ts";

/** A row of net.http_request_queue. */
interface QueuedRequest {
  id: string;
  method: string;
  url: string;
  headers: Record<string, string> | null;
  body: Buffer | null;
  timeout_milliseconds: number;
}

/** What came of a request: a row of net._http_response. */
interface Outcome {
  status_code: number | null;
  content_type: string | null;
  headers: Record<string, string> | null;
  content: string | null;
  timed_out: boolean;
  error_msg: string | null;
}

/** The part of pg_net that is outside the database here: it sends the requests. */
export interface NetWorker {
  /** Wakes the worker: sends what waits now and resolves once it is answered for. */
  flush(): Promise<void>;
  stop(): Promise<void>;
}

const batchSize = 200;
const pollEvery = 1_000;

/**
 * Sends the requests of the pg_net stand-in, a batch at a time as pg_net does. A batch is taken off the queue
 * before it is sent: what is in flight when this process dies is lost, and nothing is ever sent twice. The answers of
 * a batch are written together once the slowest is there, and are removed after six hours by a worker that is woken
 * for something else, not by the clock.
 */
export function startNet(url: string, log: LineLog): NetWorker {
  const sql = openSql(url, 2);
  let stopped = false;
  let sending: Promise<void> | undefined;
  let again = false;
  let woken = false;

  async function sendAll(): Promise<void> {
    const [extension] = await sql`select from pg_catalog.pg_extension where extname = 'pg_net'`;
    if (!extension) return;
    if (woken) await sql`delete from net._http_response where created < now() - interval '6 hours'`;
    woken = false;
    for (;;) {
      const batch = await sql<QueuedRequest[]>`
        delete from net.http_request_queue
        where id in (select id from net.http_request_queue order by id limit ${batchSize} for update skip locked)
        returning id, method, url, headers, body, timeout_milliseconds
      `;
      if (batch.length === 0) break;
      await record(sql, batch, await Promise.all(batch.map((request) => send(request, log))));
    }
  }

  function look(): Promise<void> {
    again = true;
    sending ??= (async () => {
      while (again && !stopped) {
        again = false;
        // The database may be down for a moment; the next poll finds it again.
        await sendAll().catch(() => {});
      }
    })().finally(() => {
      sending = undefined;
    });
    return sending;
  }

  function flush(): Promise<void> {
    woken = true;
    return look();
  }

  const timer = setInterval(() => void look(), pollEvery);
  const listening = sql.listen(
    "net_http_request",
    () => void flush(),
    () => void look(),
  );
  listening.catch(() => {});
  return {
    flush,
    async stop() {
      stopped = true;
      clearInterval(timer);
      await Promise.race([sending, new Promise((resolve) => setTimeout(resolve, 1_000))]);
      await sql.end({ timeout: 1 });
    },
  };
}

async function send(
  { method, url, headers, body, timeout_milliseconds }: QueuedRequest,
  log: LineLog,
): Promise<Outcome> {
  const nothing = { status_code: null, content_type: null, headers: null, content: null };
  try {
    const response = await fetch(url, {
      method,
      headers: { "user-agent": "pg_net/0.19.5 (stand-in)", ...headers },
      body: body?.toString("utf8"),
      // 301, 302 and 303 become a GET, as with pg_net's curl.
      redirect: "follow",
      signal: AbortSignal.timeout(timeout_milliseconds),
    });
    return {
      status_code: response.status,
      content_type: response.headers.get("content-type"),
      headers: Object.fromEntries(response.headers),
      content: await response.text(),
      timed_out: false,
      error_msg: null,
    };
  } catch (error) {
    const timedOut = error instanceof DOMException && error.name === "TimeoutError";
    const message = timedOut ? `Timeout of ${timeout_milliseconds} ms reached` : reasonOf(error);
    log.write(`${method} ${url}: ${message}`);
    return { ...nothing, timed_out: timedOut, error_msg: message };
  }
}

function reasonOf(error: unknown): string {
  const cause = error instanceof Error ? (error.cause ?? error) : error;
  return cause instanceof Error ? cause.message || cause.name : String(cause);
}

async function record(sql: postgres.Sql, batch: QueuedRequest[], outcomes: Outcome[]): Promise<void> {
  const rows = outcomes.map((outcome, index) => ({ id: batch[index]?.id, ...outcome }));
  await sql`
    insert into net._http_response (id, status_code, content_type, headers, content, timed_out, error_msg)
    select r.id, r.status_code, r.content_type, r.headers, r.content, r.timed_out, r.error_msg
    from jsonb_populate_recordset(null::net._http_response, ${JSON.stringify(rows)}::text::jsonb) as r
  `;
}
