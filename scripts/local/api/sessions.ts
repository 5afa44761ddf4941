import postgres, { type Options, type PostgresType, type Sql } from "postgres";

/** A session that its holder has to itself until it is released. */
export interface Session {
  unsafe(query: string, parameters: never[]): Promise<unknown>;
  release(): void;
}

/** One session's client: it holds a single connection, and is given up with it. */
interface Client {
  sql: Sql;
  isLost: boolean;
  /** Fails the statement under way. */
  abandon: (reason: Error) => void;
}

/**
 * Sessions for the transactions of the API.
 *
 * The driver's own reserved sessions do not outlive their connection in good order: what is asked of one after the
 * database went away is written to a socket that is gone, which ends the whole process, or is never answered. Here
 * a session whose connection is lost fails at once, for good, and the next one is a new connection.
 */
export class Sessions {
  readonly #options: Sql["options"];
  readonly #max: number;
  readonly #idle: Client[] = [];
  readonly #clients = new Set<Client>();
  readonly #waiting: ((client: Client) => void)[] = [];
  #knowsTypes = false;

  /**
   * @param driver whose options each session is opened with
   * @param max sessions at a time; who asks for more waits for one to be released
   */
  constructor(driver: Sql, max: number) {
    this.#options = driver.options;
    this.#max = max;
  }

  async reserve(): Promise<Session> {
    const client = await this.#acquire();
    return {
      unsafe: async (query, parameters) => {
        const result = await ask(client, query, parameters);
        this.#knowsTypes = true;
        return result;
      },
      release: () => this.#release(client),
    };
  }

  async end(options?: { timeout?: number }): Promise<void> {
    await Promise.all([...this.#clients].map(({ sql }) => sql.end(options)));
  }

  #acquire(): Client | Promise<Client> {
    const idle = this.#idle.pop();
    if (idle) return idle;
    if (this.#clients.size < this.#max) return this.#open();
    return new Promise((resolve) => this.#waiting.push(resolve));
  }

  #release(client: Client): void {
    if (client.isLost) return;
    const next = this.#waiting.shift();
    if (next) next(client);
    else this.#idle.push(client);
  }

  #open(): Client {
    // Options the driver has read once it takes as they are: it opens its own listening client in the same way. With
    // them goes what the first session learnt of array types. Were each to ask for them anew, one that is lost
    // meanwhile would end the process: nobody catches that error.
    const options = {
      ...this.#options,
      max: 1,
      fetch_types: !this.#knowsTypes,
      onclose: () => this.#lose(client),
    } as unknown as Options<Record<string, PostgresType>>;
    const client: Client = { sql: postgres(options), isLost: false, abandon: () => {} };
    this.#clients.add(client);
    return client;
  }

  #lose(client: Client): void {
    if (client.isLost) return;
    client.isLost = true;
    client.abandon(connectionLost());
    void client.sql.end({ timeout: 0 });
    this.#clients.delete(client);
    if (this.#idle.includes(client)) this.#idle.splice(this.#idle.indexOf(client), 1);
    if (this.#waiting.length > 0) this.#waiting.shift()?.(this.#open());
  }
}

function ask(client: Client, query: string, parameters: never[]): Promise<unknown> {
  if (client.isLost) return Promise.reject(connectionLost());
  return new Promise((resolve, reject) => {
    client.abandon = reject;
    client.sql.unsafe(query, parameters).then(resolve, reject);
  });
}

/** In the shape in which the driver itself reports it. */
function connectionLost(): Error {
  return Object.assign(new Error("the connection to the database was lost"), { code: "CONNECTION_CLOSED" });
}
