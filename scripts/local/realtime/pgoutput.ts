/** A row as text by column; null where the column is. */
export type Row = Record<string, string | null>;

/** One row's change as it is written ahead, of a table that the publication has. */
export interface Change {
  table: string;
  type: "INSERT" | "UPDATE" | "DELETE";
  /** The row as it is now; nothing after a deletion. */
  row: Row | undefined;
  /** What the replica identity tells of the row as it was. */
  old: Row | undefined;
}

interface Relation {
  table: string;
  columns: { name: string; isKey: boolean }[];
}

/** Reads bytes of PostgreSQL's logical replication protocol from the front. */
class Reader {
  #at = 0;
  readonly #bytes: Buffer;

  constructor(bytes: Buffer) {
    this.#bytes = bytes;
  }

  letter(): string {
    return String.fromCharCode(this.number(1));
  }

  number(size: 1 | 2 | 4): number {
    const value = this.#bytes.readUIntBE(this.#at, size);
    this.#at += size;
    return value;
  }

  text(size: number): string {
    this.#at += size;
    return this.#bytes.toString("utf8", this.#at - size, this.#at);
  }

  name(): string {
    const end = this.#bytes.indexOf(0, this.#at);
    const name = this.#bytes.toString("utf8", this.#at, end);
    this.#at = end + 1;
    return name;
  }
}

/**
 * Decodes messages of PostgreSQL's output plugin `pgoutput`, protocol version 1. Transactions' ends, types and origins
 * are skipped, and so is a truncation, which no subscriber is told of.
 */
export class Decoder {
  readonly #relations = new Map<number, Relation>();

  decode(message: Buffer): Change | undefined {
    const reader = new Reader(message);
    switch (reader.letter()) {
      case "R":
        this.#learn(reader);
        return undefined;
      case "I":
        return this.#change("INSERT", reader);
      case "U":
        return this.#change("UPDATE", reader);
      case "D":
        return this.#change("DELETE", reader);
      default:
        return undefined;
    }
  }

  #learn(reader: Reader): void {
    const id = reader.number(4);
    const table = `${reader.name()}.${reader.name()}`;
    reader.letter(); // replica identity
    const columns = Array.from({ length: reader.number(2) }, () => {
      const isKey = reader.number(1) === 1;
      const name = reader.name();
      reader.number(4); // type
      reader.number(4); // type modifier
      return { name, isKey };
    });
    this.#relations.set(id, { table, columns });
  }

  #change(type: Change["type"], reader: Reader): Change {
    const relation = this.#relations.get(reader.number(4));
    if (!relation) throw new Error("a change of a relation that was not announced");
    let kind = reader.letter();
    let old: Row | undefined;
    if (kind === "K" || kind === "O") {
      const isKeyOnly = kind === "K";
      old = keep(this.#row(relation, reader), relation, (column) => !isKeyOnly || column.isKey);
      if (type === "DELETE") return { table: relation.table, type, row: undefined, old };
      kind = reader.letter();
    }
    if (kind !== "N") throw new Error(`a tuple of kind ${kind}`);
    const row = this.#row(relation, reader);
    // A key that did not change is not written twice.
    if (type === "UPDATE") old ??= keep(row, relation, (column) => column.isKey);
    return { table: relation.table, type, row, old };
  }

  #row(relation: Relation, reader: Reader): Row {
    const count = reader.number(2);
    return Object.fromEntries(
      relation.columns.slice(0, count).map(({ name }) => {
        const kind = reader.letter();
        if (kind !== "t") return [name, null];
        return [name, reader.text(reader.number(4))];
      }),
    );
  }
}

const keep = (row: Row, relation: Relation, isKept: (column: Relation["columns"][number]) => boolean): Row =>
  Object.fromEntries(relation.columns.filter(isKept).map(({ name }) => [name, row[name] ?? null]));
