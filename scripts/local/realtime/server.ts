import { randomUUID } from "node:crypto";
import type { IncomingMessage } from "node:http";
import type { Duplex } from "node:stream";
import { setTimeout as delay } from "node:timers/promises";
import { verify } from "hono/jwt";
import type { TransactionSql } from "postgres";
import { WebSocket, WebSocketServer } from "ws";
import { localKeys } from "../keys.ts";
import type { LineLog } from "../log.ts";
import { openSql } from "../sql.ts";
import { type Heard, Realtime, type RealtimeDatabase, type Subscription } from "./changes.ts";
import { decodeMessage, encodeMessage, isRecord, type Message, type Version } from "./wire.ts";

/** How often Realtime reads what was committed, in milliseconds; the platform's does it as often. */
const POLL_MS = 100;
const PATH = "/realtime/v1/websocket";

/** What a client asks to hear of, as supabase-js writes it. */
interface Binding {
  event: string;
  schema: string;
  table: string;
  filter?: string;
}

/** A channel that somebody has joined. */
interface Channel {
  socket: WebSocket;
  version: Version;
  topic: string;
  joinRef: string | null;
  bindings: { id: number; binding: Binding; subscription: Subscription }[];
}

/** A Realtime that runs behind the gateway of the local stack. */
export interface RealtimeServer {
  /** Takes over a connection that asks to be a WebSocket. */
  upgrade(request: IncomingMessage, socket: Duplex, head: Buffer): void;
  close(): Promise<void>;
}

/**
 * Supabase Realtime's Postgres changes, as supabase-js subscribes to them, by the rule of `changes.ts`. Broadcast and
 * presence are not here. Where the database goes away, every connection is cut: clients connect and read again, as they
 * have to after an interruption of the platform's.
 */
export function startRealtime(urlFor: (role: string) => string, log: LineLog): RealtimeServer {
  const database = new Roles(urlFor);
  const server = new WebSocketServer({ noServer: true });
  const channels = new Map<string, Channel>();
  let listening: Promise<Realtime> | undefined;
  let isClosing = false;
  let reading: Promise<void> = Promise.resolve();
  let nextId = 1;

  /** One that reads as long as somebody listens: an idle stack decodes nothing. */
  function listen(): Promise<Realtime> {
    if (listening) return listening;
    const opening = Realtime.over(database, true);
    listening = opening;
    opening.then(
      (realtime) => {
        reading = readOn(realtime, opening);
      },
      (error) => cut(`no replication slot: ${String(error)}`),
    );
    return opening;
  }

  async function readOn(realtime: Realtime, opened: Promise<Realtime>): Promise<void> {
    try {
      while (!isClosing && channels.size > 0) {
        tell(await realtime.heard(), realtime);
        await delay(POLL_MS);
      }
    } catch (error) {
      cut(`reading stopped: ${String(error)}`);
    }
    // Before anything is waited for: who joins from now on gets a new one.
    if (listening === opened) listening = undefined;
    await realtime.end();
  }

  function cut(reason: string): void {
    log.write(reason);
    listening = undefined;
    channels.clear();
    for (const client of server.clients) client.terminate();
  }

  function tell(heard: Record<string, Heard[]>, realtime: Realtime): void {
    for (const [name, changes] of Object.entries(heard)) {
      const [key = "", id] = name.split(" ");
      const channel = channels.get(key);
      const bound = channel?.bindings.find((it) => String(it.id) === id);
      if (!channel || !bound) continue;
      for (const change of changes) {
        if (bound.binding.event !== "*" && bound.binding.event !== change.type) continue;
        void realtime.columnsFor(bound.subscription).then((columns) =>
          send(channel, "postgres_changes", {
            ids: [bound.id],
            data: {
              schema: bound.binding.schema,
              table: bound.binding.table,
              type: change.type,
              commit_timestamp: new Date().toISOString(),
              columns,
              record: change.record ?? {},
              old_record: change.old ?? {},
              errors: null,
            },
          }),
        );
      }
    }
  }

  async function join(socket: WebSocket, version: Version, message: Message): Promise<void> {
    const { topic, joinRef } = message;
    const channel: Channel = { socket, version, topic, joinRef, bindings: [] };
    const { access_token, config } = isRecord(message.payload) ? message.payload : {};
    const wanted = isRecord(config) && Array.isArray(config.postgres_changes) ? config.postgres_changes : [];
    try {
      const user = await userOf(access_token);
      for (const binding of wanted.map(readBinding)) {
        const { schema, table, filter } = binding;
        const subscription = { table: `${schema}.${table}`, user, filter: readFilter(filter) };
        channel.bindings.push({ id: nextId++, binding, subscription });
      }
      leave(keyOf(socket, topic));
      const key = keyOf(socket, topic);
      channels.set(key, channel);
      const realtime = await listen();
      for (const { id, subscription } of channel.bindings)
        await realtime.subscribe(`${key} ${id}`, subscription);
    } catch (error) {
      leave(keyOf(socket, topic));
      reply(socket, version, message, "error", {
        reason: error instanceof Error ? error.message : String(error),
      });
      return;
    }
    const postgres_changes = channel.bindings.map(({ id, binding }) => ({ id, ...binding }));
    reply(socket, version, message, "ok", { postgres_changes });
    if (channel.bindings.length === 0) return;
    const said = { extension: "postgres_changes", status: "ok", message: "Subscribed to PostgreSQL" };
    send(channel, "system", { ...said, channel: topic.replace(/^realtime:/, "") });
  }

  /** The same channels for another user, or for the same one with a newer token. */
  async function renew(key: string, token: unknown): Promise<void> {
    const channel = channels.get(key);
    if (!channel) return;
    const user = await userOf(token);
    const realtime = await listen();
    for (const bound of channel.bindings) {
      bound.subscription = { ...bound.subscription, user };
      await realtime.subscribe(`${key} ${bound.id}`, bound.subscription);
    }
  }

  function leave(key: string): void {
    const channel = channels.get(key);
    channels.delete(key);
    if (!channel) return;
    void listening?.then(
      (realtime) => {
        for (const { id } of channel.bindings) realtime.unsubscribe(`${key} ${id}`);
      },
      () => {},
    );
  }

  async function answer(socket: WebSocket, version: Version, message: Message): Promise<void> {
    const key = keyOf(socket, message.topic);
    if (message.event === "phx_join") return join(socket, version, message);
    if (message.event === "access_token") {
      const { access_token } = isRecord(message.payload) ? message.payload : {};
      // Realtime closes the channel of a token that it refuses; the client joins again.
      await renew(key, access_token).catch(() => leave(key));
      return;
    }
    if (message.event === "phx_leave") leave(key);
    if (message.ref !== null) reply(socket, version, message, "ok", {});
  }

  server.on("connection", (socket: WebSocket, request: IncomingMessage) => {
    const asked = new URL(request.url ?? "", "http://localhost").searchParams.get("vsn");
    const version: Version = asked === "2.0.0" ? "2.0.0" : "1.0.0";
    socket.on("message", (data) => {
      const message = decodeMessage(String(data));
      if (message) void answer(socket, version, message).catch((error) => log.write(String(error)));
    });
    socket.on("close", () => {
      for (const [key, channel] of channels) if (channel.socket === socket) leave(key);
    });
    socket.on("error", () => socket.terminate());
  });

  return {
    upgrade(request, socket, head) {
      const { pathname, searchParams } = new URL(request.url ?? "", "http://localhost");
      if (pathname !== PATH || !isKey(searchParams.get("apikey"))) {
        socket.end("HTTP/1.1 401 Unauthorized\r\nconnection: close\r\n\r\n");
        return;
      }
      server.handleUpgrade(request, socket, head, (client) => server.emit("connection", client, request));
    },
    async close() {
      isClosing = true;
      for (const client of server.clients) client.terminate();
      server.close();
      await listening?.catch(() => undefined);
      await reading;
      await database.close();
    },
  };
}

/** The database by its roles, each session with the claims of whoever is asked for. */
class Roles implements RealtimeDatabase {
  readonly #urlFor: (role: string) => string;
  readonly #authenticator;

  constructor(urlFor: (role: string) => string) {
    this.#urlFor = urlFor;
    this.#authenticator = openSql(urlFor("authenticator"), 2);
  }

  connect({ role }: { role: "supabase_admin" }) {
    return openSql(this.#urlFor(role));
  }

  asUser<T>(user: string, work: (sql: TransactionSql) => Promise<T>): Promise<T> {
    return this.#as("authenticated", { sub: user, role: "authenticated" }, work);
  }

  asAnon<T>(work: (sql: TransactionSql) => Promise<T>): Promise<T> {
    return this.#as("anon", { role: "anon" }, work);
  }

  close(): Promise<void> {
    return this.#authenticator.end({ timeout: 1 });
  }

  async #as<T>(role: string, claims: object, work: (sql: TransactionSql) => Promise<T>): Promise<T> {
    const result = await this.#authenticator.begin(async (sql) => {
      await sql`
        select set_config('role', ${role}, true), set_config('request.jwt.claims', ${JSON.stringify(claims)}, true)`;
      return { value: await work(sql) };
    });
    return (result as { value: T }).value;
  }
}

const names = new WeakMap<WebSocket, string>();

function nameOf(socket: WebSocket): string {
  const name = names.get(socket) ?? randomUUID();
  names.set(socket, name);
  return name;
}

/** A channel's key has no space: what is subscribed to is named by it, a space and the binding's id. */
const keyOf = (socket: WebSocket, topic: string): string => `${nameOf(socket)}|${encodeURIComponent(topic)}`;

const isKey = (key: string | null): boolean => key === localKeys.publishable || key === localKeys.secret;

/** Whose token it is; undefined for a key, which is nobody's. */
async function userOf(token: unknown): Promise<string | undefined> {
  if (typeof token !== "string" || isKey(token)) return undefined;
  const { sub } = await verify(token, localKeys.jwtSecret, "HS256");
  return typeof sub === "string" ? sub : undefined;
}

function readBinding(value: unknown): Binding {
  if (!isRecord(value) || typeof value.schema !== "string" || typeof value.table !== "string")
    throw new Error("a subscription here names a schema and a table");
  const { event, schema, table, filter } = value;
  return {
    event: typeof event === "string" ? event : "*",
    schema,
    table,
    ...(typeof filter === "string" && { filter }),
  };
}

function readFilter(filter: string | undefined): Subscription["filter"] {
  if (filter === undefined) return undefined;
  const [, column, value] = /^(\w+)=eq\.(.*)$/.exec(filter) ?? [];
  if (column === undefined || value === undefined)
    throw new Error(`of filters only column=eq.value is played here, and not ${filter}`);
  return { column, value };
}

function send({ socket, version, topic }: Channel, event: string, payload: unknown): void {
  if (socket.readyState === WebSocket.OPEN)
    socket.send(encodeMessage({ joinRef: null, ref: null, topic, event, payload }, version));
}

function reply(socket: WebSocket, version: Version, to: Message, status: string, response: object): void {
  if (socket.readyState !== WebSocket.OPEN) return;
  const { joinRef, ref, topic } = to;
  socket.send(
    encodeMessage({ joinRef, ref, topic, event: "phx_reply", payload: { status, response } }, version),
  );
}
