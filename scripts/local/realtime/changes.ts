import { randomUUID } from "node:crypto";
import type { Sql, TransactionSql } from "postgres";
import { type Change, Decoder, type Row } from "./pgoutput.ts";

/** Who listens, and to what. */
export interface Subscription {
  table: string;
  /** The signed-in user of the subscriber's token; without one, the subscriber is `anon`. */
  user?: string;
  /** Only rows of which a column has a value, as `owner_id=eq.…` asks. */
  filter?: { column: string; value: string };
}

/** A database as Realtime reaches it. */
export interface RealtimeDatabase {
  /** Logs in as a role. */
  connect(options: { role: "supabase_admin" }): Sql;
  /** Runs statements as `authenticated` with a user's claims, as the Data API does. */
  asUser<T>(user: string, work: (sql: TransactionSql) => Promise<T>): Promise<T>;
  /** The same without a user. */
  asAnon<T>(work: (sql: TransactionSql) => Promise<T>): Promise<T>;
}

/** A column that a subscriber may read. */
export interface TellableColumn {
  name: string;
  type: string;
}

/** What a subscriber is told. */
export interface Heard {
  type: Change["type"];
  record?: Row;
  old?: Row;
}

interface TableFacts {
  isRlsEnabled: boolean;
  key: string[];
  selectable: string[];
  columns: TellableColumn[];
}

/**
 * Who hears of what is committed, by the rule of Supabase Realtime's Postgres changes (`realtime.apply_rls`, read in
 * August 2026), over PostgreSQL's own logical decoding of the publication `supabase_realtime`:
 *
 * - An inserted or updated row is told to whom the filter lets through and who can select it by its primary key, as
 *   the subscriber's role with the subscriber's claims, at the time it is told: after the commit, and with what holds then.
 * - A deleted row is told to everybody whose filter lets its replica identity through: no policy is asked. Where the
 *   table has row level security, its primary key is all that is told.
 * - A filter by a column that is not there lets nothing through, and one by a column that the role may not select is refused.
 * - Only columns that the role may select are told, and nothing where the primary key is not among them.
 */
export class Realtime {
  readonly #database: RealtimeDatabase;
  readonly #slot = `realtime_${randomUUID().replaceAll("-", "")}`;
  readonly #reader: Sql;
  readonly #decoder = new Decoder();
  readonly #subscriptions = new Map<string, Subscription>();
  readonly #facts = new Map<string, Promise<TableFacts>>();

  private constructor(database: RealtimeDatabase) {
    this.#database = database;
    this.#reader = database.connect({ role: "supabase_admin" });
  }

  /**
   * Listens from now on.
   *
   * @param isTemporary whether the slot ends with its session, so that nothing holds the write-ahead log back after a crash
   */
  static async over(database: RealtimeDatabase, isTemporary = false): Promise<Realtime> {
    const realtime = new Realtime(database);
    await realtime.#reader`select pg_create_logical_replication_slot(${realtime.#slot}, 'pgoutput', ${isTemporary})`;
    return realtime;
  }

  async subscribe(name: string, subscription: Subscription): Promise<void> {
    if (subscription.filter) {
      const { selectable } = await this.#factsOf(subscription.table, subscription.user);
      if (!selectable.includes(subscription.filter.column))
        throw new Error(`invalid column for filter ${subscription.filter.column}`);
    }
    this.#subscriptions.set(name, subscription);
  }

  unsubscribe(name: string): void {
    this.#subscriptions.delete(name);
  }

  /** The columns of a table that a subscriber may read. */
  async columnsFor({ table, user }: Subscription): Promise<TellableColumn[]> {
    return (await this.#factsOf(table, user)).columns;
  }

  /** What each subscriber is told of all that was committed since; who is told nothing is not among them. */
  async heard(): Promise<Record<string, Heard[]>> {
    const messages = await this.#reader<{ data: Buffer }[]>`
      select data from pg_logical_slot_get_binary_changes(
        ${this.#slot}, null, null, 'proto_version', '1', 'publication_names', 'supabase_realtime'
      )`;
    const heard: Record<string, Heard[]> = {};
    for (const { data } of messages) {
      const change = this.#decoder.decode(data);
      if (!change) continue;
      for (const [name, subscription] of this.#subscriptions) {
        const told = await this.#tell(change, subscription);
        if (told) heard[name] = [...(heard[name] ?? []), told];
      }
    }
    return heard;
  }

  async close(): Promise<void> {
    await this.#reader`select pg_drop_replication_slot(${this.#slot})`;
  }

  /** Ends the session, and with it a temporary slot. */
  end(): Promise<void> {
    return this.#reader.end({ timeout: 1 });
  }

  async #tell(change: Change, { table, user, filter }: Subscription): Promise<Heard | undefined> {
    const shown = change.type === "DELETE" ? change.old : change.row;
    if (change.table !== table || !shown) return undefined;
    if (filter && shown[filter.column] !== filter.value) return undefined;
    const facts = await this.#factsOf(table, user);
    if (change.type === "DELETE") {
      return {
        type: change.type,
        old: only(shown, facts.isRlsEnabled ? facts.key : facts.selectable),
      };
    }
    if (!facts.key.every((column) => facts.selectable.includes(column))) return undefined;
    if (facts.isRlsEnabled && !(await this.#selects(table, facts.key, shown, user))) return undefined;
    return { type: change.type, record: only(shown, facts.selectable) };
  }

  #as<T>(user: string | undefined, work: (sql: TransactionSql) => Promise<T>): Promise<T> {
    return user === undefined ? this.#database.asAnon(work) : this.#database.asUser(user, work);
  }

  async #selects(table: string, key: string[], row: Row, user: string | undefined): Promise<boolean> {
    const found = await this.#as(user, (sql) => {
      const conditions = key.map((column) => sql`${sql(column)}::text = ${row[column] ?? null}`);
      return sql`
        select from ${sql(table)}
        where ${conditions.reduce((left, right) => sql`${left} and ${right}`)}`;
    });
    return found.length > 0;
  }

  #factsOf(table: string, user: string | undefined): Promise<TableFacts> {
    const role = user === undefined ? "anon" : "authenticated";
    const name = `${role} ${table}`;
    const known = this.#facts.get(name) ?? this.#readFacts(table, role);
    this.#facts.set(name, known);
    return known;
  }

  async #readFacts(table: string, role: string): Promise<TableFacts> {
    const [facts] = await this.#reader<Omit<TableFacts, "selectable">[]>`
      select
        c.relrowsecurity as "isRlsEnabled",
        to_json(array(
          select a.attname from pg_index as i
          join pg_attribute as a on a.attrelid = i.indrelid and a.attnum = any (i.indkey)
          where i.indrelid = c.oid and i.indisprimary
        )) as key,
        to_json(array(
          select json_build_object('name', a.attname, 'type', t.typname) from pg_attribute as a
          join pg_type as t on t.oid = a.atttypid
          where a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped
            and has_column_privilege(${role}, c.oid, a.attnum, 'select')
        )) as columns
      from pg_class as c where c.oid = ${table}::regclass`;
    if (!facts) throw new Error(`no table ${table}`);
    return { ...facts, selectable: facts.columns.map(({ name }) => name) };
  }
}

const only = (row: Row, columns: string[]): Row =>
  Object.fromEntries(Object.entries(row).filter(([column]) => columns.includes(column)));
