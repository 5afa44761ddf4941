#!/usr/bin/env bash
# @supabase/lite 0.10.0: of two filters of one kind on one column, only the last is applied, also to a DELETE.
#
# Expected: filters are joined by AND, as PostgREST documents and does; `.neq("state", "paid").neq("state", "open")`
#   leaves out both states, and two `or` groups must both hold.
# Actual: the later filter takes the place of the earlier where column and operator are the same. Filters of different
#   kinds (gte and lt) are joined as expected, so a range works and what is written beside it does not. Two `or` groups
#   become one group of all their conditions.
# Seen: a select that leaves out "paid" and "open" answers "paid, void"; a delete that spares both deletes the paid row;
#   (1 or 2) and (2 or 3) answers 1, 2, 3.
# Matters for code that was tried against it: what was deleted there is spared by the real one, and the other way round.
set -euo pipefail
folder=$(mktemp -d); trap 'rm -rf "$folder"' EXIT; cd "$folder"
npm init -y >/dev/null
npm install --silent --no-audit --no-fund \
  @supabase/lite@0.10.0 @electric-sql/pglite@0.4.5 @supabase/postgrest-js@2.105.0 >/dev/null

cat > run.mjs <<'JS'
import { App } from "@supabase/lite";
import { createPgliteConnection } from "@supabase/lite/pglite";
import { PostgrestClient } from "@supabase/postgrest-js";

const connection = await createPgliteConnection({});
await connection.driver.exec(`
  create role anon; create role authenticated; create role service_role bypassrls;
  create table bills (id int primary key, state text not null);
  insert into bills values (1, 'paid'), (2, 'open'), (3, 'void');
`);
const app = new App({
  connection,
  api: { enabled: true, schemas: ["public"], max_rows: 1000 },
  auth: { enabled: true, jwt_secret: "a secret of more than thirty-two characters", secret_key: "sb_secret_a" },
  storage: { enabled: false },
  studio: { enabled: false },
});
const bills = new PostgrestClient("http://localhost/rest/v1", {
  headers: { apikey: "sb_secret_a" },
  fetch: (url, init) => app.fetch(new Request(url, init), { peerAddress: "127.0.0.1" }),
});
async function show(what, column, query) {
  const { data, error } = await query;
  console.log(`${what}: ${error ? error.message : data.map((row) => row[column]).join(", ")}`);
}
const from = () => bills.from("bills").select().order("id");
await show("id >= 2 and id < 3", "id", from().gte("id", 2).lt("id", 3));
await show("neither paid nor open", "state", from().neq("state", "paid").neq("state", "open"));
await show("(1 or 2) and (2 or 3)", "id", from().or("id.eq.1,id.eq.2").or("id.eq.2,id.eq.3"));
await show("deleted but for paid and open", "state", bills.from("bills").delete().neq("state", "paid").neq("state", "open").select());
process.exit(0);
JS
seen=$(DO_NOT_TRACK=1 node run.mjs)
echo "$seen"
[ "$seen" = "id >= 2 and id < 3: 2
neither paid nor open: paid, void
(1 or 2) and (2 or 3): 1, 2, 3
deleted but for paid and open: paid, void" ]
