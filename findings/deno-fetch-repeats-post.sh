#!/usr/bin/env bash
# deno 2.9.6: fetch sends a POST a second time, by itself, when the kept-alive connection it was sent on is cut.
#
# Expected: a POST is not idempotent (RFC 9110, 9.2.2). A server may have done its work when the connection breaks, so
#   fetch rejects and leaves it to the caller whether to repeat it, as Node does.
# Actual: where the connection had served a request before, Deno opens another one and sends the POST again. The caller
#   sees a plain 200 and never learns that the server was asked twice. On a fresh connection it rejects as expected.
# Seen: "first use of a connection: rejected, 1 POST" and "kept-alive connection: answered 200, 2 POSTs".
# Matters for whatever is posted without an idempotency key, such as a message to a chat webhook.
set -euo pipefail
folder=$(mktemp -d); trap 'rm -rf "$folder"' EXIT; cd "$folder"
npm init -y >/dev/null
npm install --silent --no-audit --no-fund deno@2.9.6 >/dev/null

cat > server.mjs <<'JS'
// Answers GETs and keeps the connection; cuts it the first time that a POST has been read; answers the next one.
import { createServer } from "node:net";
let posts = 0;
const server = createServer((socket) => {
  let text = "";
  socket.on("error", () => {});
  socket.on("data", (chunk) => {
    text += chunk;
    if (!text.includes("\r\n\r\n")) return;
    if (text.startsWith("GET /count")) answer(String(posts));
    else if (text.startsWith("GET /")) answer("ok");
    else if (text.endsWith("payload")) {
      posts += 1;
      if (posts % 2 === 1) return socket.destroy();
      answer("done");
    }
    function answer(body) {
      text = "";
      socket.write(`HTTP/1.1 200 OK\r\ncontent-length: ${body.length}\r\n\r\n${body}`);
    }
  });
});
server.listen(0, "127.0.0.1", () => console.log(server.address().port));
setTimeout(() => process.exit(), 60_000);
JS
cat > client.mjs <<'JS'
const [base, warm] = globalThis.Deno ? Deno.args : process.argv.slice(2);
if (warm === "warm") await (await fetch(`${base}/`)).text();
const outcome = await fetch(base, { method: "POST", body: "payload" }).then(
  async (response) => (await response.text(), `answered ${response.status}`),
  () => "rejected",
);
const count = await (await fetch(`${base}/count`)).text();
console.log(`${outcome}, ${count} POST${count === "1" ? "" : "s"}`);
JS

ask() { # ask <cold|warm> <command…>
  local how=$1; shift
  node server.mjs > port.txt & local server=$!
  until [ -s port.txt ]; do sleep 0.1; done
  "$@" "http://127.0.0.1:$(cat port.txt)" "$how"
  kill "$server"; wait "$server" 2>/dev/null || true; rm port.txt
}
deno=./node_modules/.bin/deno
cold=$(ask cold "$deno" run --quiet --allow-net client.mjs)
kept=$(ask warm "$deno" run --quiet --allow-net client.mjs)
node_kept=$(ask warm node client.mjs)
echo "$($deno --version | head -n 1)"
echo "first use of a connection: $cold"
echo "kept-alive connection: $kept"
echo "the same in Node $(node --version): $node_kept"
[ "$cold" = "rejected, 1 POST" ] && [ "$kept" = "answered 200, 2 POSTs" ] && [ "$node_kept" = "rejected, 1 POST" ]
