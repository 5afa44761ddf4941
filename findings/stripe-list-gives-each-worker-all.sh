#!/usr/bin/env bash
# stripe 23.1.0: several workers that share the iterator of one list are each given every object, not a share of them.
#
# Expected: an async iterator hands out each value once. Three workers that loop over one iterator, the usual way to work
#   off a list with bounded concurrency, divide the values among them; with an async generator they do.
# Actual: calls of next() that wait at the same time are given the same object. Workers in step each handle the whole
#   list, so whatever is done for an object is done three times; workers whose tasks take time do so for some objects,
#   others in each run. One worker alone gets each object once.
# Seen: "generator, 3 workers: 12 handled, 12 different" and "list, 3 workers: 36 handled, 12 different".
# Matters for refunds, mails or charges made "for each" object of a list.
set -euo pipefail
folder=$(mktemp -d); trap 'rm -rf "$folder"' EXIT; cd "$folder"
npm init -y >/dev/null
npm install --silent --no-audit --no-fund stripe@23.1.0 >/dev/null

cat > run.mjs <<'JS'
import { createServer } from "node:http";
import Stripe from "stripe";

const all = Array.from({ length: 12 }, (_, i) => ({ id: `cus_${i + 1}`, object: "customer" }));
const server = createServer((request, response) => {
  const { searchParams } = new URL(request.url, "http://localhost");
  const start = all.findIndex(({ id }) => id === searchParams.get("starting_after")) + 1;
  const data = all.slice(start, start + 5);
  const has_more = start + 5 < all.length;
  response.setHeader("content-type", "application/json");
  response.end(JSON.stringify({ object: "list", url: "/v1/customers", has_more, data }));
});
await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
const stripe = new Stripe("sk_test_1234567890", {
  host: "127.0.0.1",
  port: server.address().port,
  protocol: "http",
  telemetry: false,
});

async function workOff(what, iterator, workers) {
  const handled = [];
  const shared = { [Symbol.asyncIterator]: () => ({ next: () => iterator.next() }) };
  await Promise.all(
    Array.from({ length: workers }, async () => {
      for await (const { id } of shared) {
        handled.push(id);
      }
    }),
  );
  console.log(`${what}: ${handled.length} handled, ${new Set(handled).size} different`);
}
const list = () => stripe.customers.list({ limit: 5 })[Symbol.asyncIterator]();
async function* generator() {
  yield* all;
}
await workOff("generator, 3 workers", generator(), 3);
await workOff("list, 1 worker", list(), 1);
await workOff("list, 3 workers", list(), 3);
process.exit();
JS
seen=$(node run.mjs)
echo "$seen"
[ "$seen" = "generator, 3 workers: 12 handled, 12 different
list, 1 worker: 12 handled, 12 different
list, 3 workers: 36 handled, 12 different" ]
