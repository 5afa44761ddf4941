#!/usr/bin/env bash
# stripe 23.1.0: a read whose answer is cut within its body is never repeated, whatever `maxNetworkRetries` says.
#
# Expected: `maxNetworkRetries: 2` repeats a request that fails for its connection, a GET above all. Where in the answer
#   the connection broke makes no difference.
# Actual: cut before the headers, the request is sent three times. Cut after them, it is sent once and fails with the same
#   class of error, StripeConnectionError. Both HTTP clients that come with the package do so.
# Seen: "cut before headers: 3 sent" and "cut within body: 1 sent".
# Matters for long lists: their bodies are large, so most cuts fall into a body, and one fails the whole iteration.
set -euo pipefail
folder=$(mktemp -d); trap 'rm -rf "$folder"' EXIT; cd "$folder"
npm init -y >/dev/null
npm install --silent --no-audit --no-fund stripe@23.1.0 >/dev/null

cat > run.mjs <<'JS'
import { createServer } from "node:http";
import Stripe from "stripe";

let [cutWithinBody, requests] = [false, 0];
const server = createServer((request, response) => {
  requests += 1;
  if (!cutWithinBody) return request.socket.destroy();
  response.writeHead(200, { "content-type": "application/json", "content-length": "1000" });
  response.write('{"object":"list","data":[');
  setTimeout(() => request.socket.destroy(), 50);
});
await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
const clients = { node: Stripe.createNodeHttpClient(), fetch: Stripe.createFetchHttpClient() };
for (const [name, httpClient] of Object.entries(clients)) {
  const stripe = new Stripe("sk_test_1234567890", {
    host: "127.0.0.1",
    port: server.address().port,
    protocol: "http",
    telemetry: false,
    maxNetworkRetries: 2,
    httpClient,
  });
  for (const within of [false, true]) {
    [cutWithinBody, requests] = [within, 0];
    const outcome = await stripe.customers.list().then(
      () => "answered",
      (error) => error.type,
    );
    console.log(`${name}, cut ${within ? "within body" : "before headers"}: ${requests} sent, ${outcome}`);
  }
}
process.exit();
JS
seen=$(node run.mjs)
echo "$seen"
[ "$seen" = "node, cut before headers: 3 sent, StripeConnectionError
node, cut within body: 1 sent, StripeConnectionError
fetch, cut before headers: 3 sent, StripeConnectionError
fetch, cut within body: 1 sent, StripeConnectionError" ]
