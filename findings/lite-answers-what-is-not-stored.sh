#!/usr/bin/env bash
# @supabase/lite 0.10.0: what it answers to a write is not what it did: a rollback that was none, a row as it is not.
#
# Expected: `Preference-Applied` names the preferences that the server honoured (RFC 7240); PostgREST names `tx=rollback`
#   only where it may roll back, and does. `return=representation` answers the row as it was stored.
# Actual: `tx=rollback` is named and the row is committed. A row of a bulk insert with `columns` that leaves one out is
#   answered with null in that column, while the column's default is what was stored.
# Seen: "tx=rollback: said to be applied, rows stored 1" and "representation: null, stored 7".
# Matters for whoever tries a write with a rollback and checks the header first, or goes on with the row that came back.
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
  create table tries (id int primary key);
  create table seats (id int primary key, number int default 7);
`);
const app = new App({
  connection,
  api: { enabled: true, schemas: ["public"], max_rows: 1000 },
  auth: { enabled: true, jwt_secret: "a secret of more than thirty-two characters", secret_key: "sb_secret_a" },
  storage: { enabled: false },
  studio: { enabled: false },
});
function post(path, rows, prefer) {
  const headers = { apikey: "sb_secret_a", "content-type": "application/json", prefer };
  const request = new Request(`http://localhost/rest/v1${path}`, {
    method: "POST",
    headers,
    body: JSON.stringify(rows),
  });
  return app.fetch(request, { peerAddress: "127.0.0.1" });
}
const stored = async (query) => (await connection.driver.query(query)).rows[0].value;

const tried = await post("/tries", { id: 1 }, "handling=strict, tx=rollback");
const applied = (tried.headers.get("preference-applied") ?? "").includes("tx=rollback");
const rows = await stored("select count(*) as value from tries");
console.log(`tx=rollback: ${applied ? "" : "not "}said to be applied, rows stored ${rows}`);

const two = [{ id: 1 }, { id: 2, number: 5 }];
const inserted = await post("/seats?columns=id,number", two, "missing=default, return=representation");
const [first] = await inserted.json();
console.log(`representation: ${first.number}, stored ${await stored("select number as value from seats where id = 1")}`);
process.exit(0);
JS
seen=$(DO_NOT_TRACK=1 node run.mjs)
echo "$seen"
[ "$seen" = "tx=rollback: said to be applied, rows stored 1
representation: null, stored 7" ]
