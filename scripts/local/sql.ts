import postgres from "postgres";

/**
 * Opens a client for one of the stack's own jobs. A database that was away is found again at once: the driver's own
 * patience would grow to twenty seconds. Arrays come as text: to read them the driver asks each new session for its
 * array types, and when that session is lost meanwhile, nobody catches the error and the whole process ends.
 *
 * @param max sessions at most
 */
export function openSql(url: string, max = 1, connection: Record<string, string> = {}): postgres.Sql {
  return postgres(url, {
    max,
    onnotice: () => {},
    connect_timeout: 5,
    backoff: () => 0.1,
    fetch_types: false,
    connection,
  });
}
