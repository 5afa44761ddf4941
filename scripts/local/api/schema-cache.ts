import type { PostgresConnection } from "@supabase/lite/postgres";
import { openSql } from "../sql.ts";

/** What @supabase/lite knows of a database's tables, functions and keys. */
export type Schema = Awaited<ReturnType<PostgresConnection["introspect"]>>;

/**
 * The schema as the API sees it, read anew whenever the database says on channel `pgrst` that it has changed, as
 * PostgREST does. What was known stays in use until the new is there: a database that goes away in between takes no
 * table or function with it.
 */
export class SchemaCache {
  readonly #connection: PostgresConnection;
  #known: Schema;
  #reading: Promise<void> | undefined;
  #stale = false;
  #close: () => Promise<void> = async () => {};

  private constructor(connection: PostgresConnection, known: Schema) {
    this.#connection = connection;
    this.#known = known;
  }

  /**
   * @param url the superuser's, who sees every schema
   * @param connection of the same
   */
  static async open(url: string, connection: PostgresConnection): Promise<SchemaCache> {
    const first = await read(connection);
    if (!first) throw new Error("the database's schema could not be read");
    const cache = new SchemaCache(connection, first);
    const listener = openSql(url);
    // The second is called after each reconnect, when a change may have been missed.
    await listener.listen(
      "pgrst",
      () => cache.#refresh(),
      () => cache.#refresh(),
    );
    cache.#close = () => listener.end({ timeout: 1 });
    return cache;
  }

  get schema(): Schema {
    return this.#known;
  }

  async close(): Promise<void> {
    await this.#close();
    await this.#reading;
  }

  #refresh(): void {
    this.#stale = true;
    this.#reading ??= this.#readWhileStale().finally(() => {
      this.#reading = undefined;
    });
  }

  async #readWhileStale(): Promise<void> {
    while (this.#stale) {
      this.#stale = false;
      const schema = await read(this.#connection);
      // Unread, it is read after the next reconnect.
      if (schema) this.#known = schema;
    }
  }
}

/** lite answers a failure to read with an empty schema, which has no functions at all. */
async function read(connection: PostgresConnection): Promise<Schema | undefined> {
  const schema = await connection.introspect();
  return schema.functions ? schema : undefined;
}
