#!/usr/bin/env bash
# stripe 23.1.0: one price's `unit_amount_decimal` is a Decimal or a text, depending on how it came; the types say Decimal.
#
# Expected: since version 21 the package's types and its changelog say Decimal for every decimal field, `tiers` and
#   `currency_options` included. An amount that was read can be compared, stored in metadata or sent back.
# Actual: it is a text in `currency_options` of the very object where the price's own is a Decimal, and in every event,
#   signed or read from the API. The Decimal drops zeros at the end, so the two differ as texts as well. In metadata a
#   Decimal is sent as two keys of its inner parts, not as its value.
# Seen: own "Decimal 10.5", tier "Decimal 0.1", currency option, event and webhook "String 1.50", "String 10.50"; and
#   "metadata[price][_coefficient]=105&metadata[price][_exponent]=-1".
# Matters for `event.data.object.unit_amount_decimal.toFixed(2)` and the like: it compiles, and fails only in production.
set -euo pipefail
folder=$(mktemp -d); trap 'rm -rf "$folder"' EXIT; cd "$folder"
npm init -y >/dev/null
npm install --silent --no-audit --no-fund stripe@23.1.0 >/dev/null

cat > run.mjs <<'JS'
import { createServer } from "node:http";
import Stripe from "stripe";

const price = {
  id: "price_1",
  object: "price",
  currency: "chf",
  unit_amount: null,
  unit_amount_decimal: "10.50",
  tiers: [{ up_to: null, unit_amount_decimal: "0.10" }],
  currency_options: { usd: { unit_amount_decimal: "1.50" } },
};
const event = { id: "evt_1", object: "event", type: "price.updated", data: { object: price } };
let sent = "";
const server = createServer((request, response) => {
  request.on("data", (chunk) => (sent += chunk));
  request.on("end", () => {
    response.setHeader("content-type", "application/json");
    response.end(JSON.stringify(request.url.startsWith("/v1/events") ? event : price));
  });
});
await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
const stripe = new Stripe("sk_test_1234567890", {
  host: "127.0.0.1",
  port: server.address().port,
  protocol: "http",
  telemetry: false,
});
const kind = (value) => `${value.constructor.name.replace("Impl", "")} ${value}`;

const read = await stripe.prices.retrieve("price_1", { expand: ["tiers", "currency_options"] });
console.log(`own: ${kind(read.unit_amount_decimal)}`);
console.log(`tier: ${kind(read.tiers[0].unit_amount_decimal)}`);
console.log(`currency option: ${kind(read.currency_options.usd.unit_amount_decimal)}`);
console.log(`event: ${kind((await stripe.events.retrieve("evt_1")).data.object.unit_amount_decimal)}`);
const payload = JSON.stringify(event);
const header = stripe.webhooks.generateTestHeaderString({ payload, secret: "whsec_test" });
const webhook = stripe.webhooks.constructEvent(payload, header, "whsec_test");
console.log(`webhook: ${kind(webhook.data.object.unit_amount_decimal)}`);
await stripe.prices.update("price_1", { metadata: { price: read.unit_amount_decimal } });
console.log(`sent: ${decodeURIComponent(sent)}`);
process.exit();
JS
seen=$(node run.mjs)
echo "$seen"
[ "$seen" = "own: Decimal 10.5
tier: Decimal 0.1
currency option: String 1.50
event: String 10.50
webhook: String 10.50
sent: metadata[price][_coefficient]=105&metadata[price][_exponent]=-1" ]
