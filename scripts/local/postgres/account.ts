import { readFileSync, statSync } from "node:fs";
import { dirname, resolve } from "node:path";

/** An OS user that the database server is run as. */
export interface Account {
  name: string;
  uid: number;
  gid: number;
}

/**
 * Postgres refuses to run as root. Root therefore lends it to an unprivileged user every system has; an ordinary
 * user runs it as themselves (undefined). No user is created for this.
 */
export function serverAccount(): Account | undefined {
  if (process.getuid?.() !== 0) return undefined;
  const users = readFileSync("/etc/passwd", "utf8")
    .split("\n")
    .map((line) => line.split(":"));
  for (const wanted of ["postgres", "nobody"]) {
    const found = users.find((fields) => fields[0] === wanted);
    if (found) return { name: wanted, uid: Number(found[2]), gid: Number(found[3]) };
  }
  throw new Error("Postgres does not run as root, and this system has neither a user postgres nor nobody.");
}

/** Whether `account` may walk down to `path` and read there; always true for whoever runs as themselves. */
export function canReach(account: Account | undefined, path: string): boolean {
  if (!account) return true;
  for (let folder = resolve(path); ; folder = dirname(folder)) {
    const { mode, uid, gid } = statSync(folder);
    const bits = uid === account.uid ? mode >> 6 : gid === account.gid ? mode >> 3 : mode;
    if ((bits & 0o1) === 0) return false;
    if (folder === dirname(folder)) return true;
  }
}
