#!/usr/bin/env bash
# @supabase/lite 0.10.0: a PATCH of one bigint id changes the row with another id, and an INSERT stores another one.
#
# Expected: a filter is text in an address and never has to be a JavaScript number. PostgREST hands it to PostgreSQL,
#   which reads a bigint exactly. Numbers in answers may lose digits in a client that parses them as doubles; here it is
#   rows that are read and written.
# Actual: `id=eq.9007199254740993` is rounded to a double before the query. The row …993 cannot be reached at all, and
#   the update goes to …992. A body's id …995 is stored as …996. Both answers say that all went well.
# Seen: "asked for 9007199254740993, changed 9007199254740992" and "sent 9007199254740995, stored 9007199254740996".
# Matters for ids made elsewhere, such as snowflakes, which all lie beyond 2^53.
set -euo pipefail
folder=$(mktemp -d); trap 'rm -rf "$folder"' EXIT; cd "$folder"
npm init -y >/dev/null
npm install --silent --no-audit --no-fund @supabase/lite@0.10.0 @electric-sql/pglite@0.4.5 >/dev/null

cat > run.mjs <<'JS'
import { App } from "@supabase/lite";
import { createPgliteConnection } from "@supabase/lite/pglite";

const connection = await createPgliteConnection({});
await connection.driver.exec(`
  create role anon; create role authenticated; create role service_role bypassrls;
  create table notes (id bigint primary key, text text);
  insert into notes values (9007199254740992, 'as it was'), (9007199254740993, 'as it was');
`);
const app = new App({
  connection,
  api: { enabled: true, schemas: ["public"], max_rows: 1000 },
  auth: { enabled: true, jwt_secret: "a secret of more than thirty-two characters", secret_key: "sb_secret_a" },
  storage: { enabled: false },
  studio: { enabled: false },
});
async function ask(method, path, body) {
  const headers = { apikey: "sb_secret_a", "content-type": "application/json" };
  const request = new Request(`http://localhost/rest/v1${path}`, { method, headers, body });
  return (await app.fetch(request, { peerAddress: "127.0.0.1" })).status;
}
async function ids(condition) {
  const { rows } = await connection.driver.query(`select id::text from notes where ${condition} order by notes.id`);
  return rows.map(({ id }) => id).join(", ");
}
const patched = await ask("PATCH", "/notes?id=eq.9007199254740993", '{"text":"changed"}');
console.log(`${patched}: asked for 9007199254740993, changed ${await ids("text = 'changed'")}`);
const posted = await ask("POST", "/notes", '{"id":9007199254740995,"text":"new"}');
console.log(`${posted}: sent 9007199254740995, stored ${await ids("text = 'new'")}`);
process.exit(0);
JS
seen=$(DO_NOT_TRACK=1 node run.mjs)
echo "$seen"
[ "$seen" = "204: asked for 9007199254740993, changed 9007199254740992
201: sent 9007199254740995, stored 9007199254740996" ]
