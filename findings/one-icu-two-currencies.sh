#!/usr/bin/env bash
# deno 2.9.6 and node 26.12.1: both say ICU 78.3, and they disagree on how many decimals a currency has.
#
# Expected: Intl takes a currency's decimals from ISO 4217 (ECMA-402, CurrencyDigits): two each for COP, HUF, IDR, PKR and
#   RSD. Two programs with the same ICU agree at any rate.
# Actual: Node has the newer table, in which four of them have none. Deno has an older one, in which RSD has none. Neither
#   follows the standard in all five, and `process.versions.icu` does not tell them apart.
# Seen: "78.3 COP 0 HUF 0 IDR 0 PKR 0 RSD 2" from Node and "78.3 COP 2 HUF 2 IDR 2 PKR 2 RSD 0" from Deno.
# Matters for money in minor units: who divides by a power of ten that Intl names is off by a hundred in one of the two.
set -euo pipefail
folder=$(mktemp -d); trap 'rm -rf "$folder"' EXIT; cd "$folder"
npm init -y >/dev/null
node_build=node-$(node -p 'process.platform.replace("win32", "win") + "-" + process.arch')
npm install --silent --no-audit --no-fund deno@2.9.6 "$node_build@26.12.1" >/dev/null

cat > digits.mjs <<'JS'
import process from "node:process";
const digits = (currency) =>
  new Intl.NumberFormat("en", { style: "currency", currency }).resolvedOptions().maximumFractionDigits;
const told = ["COP", "HUF", "IDR", "PKR", "RSD"].map((currency) => `${currency} ${digits(currency)}`);
console.log(`${process.versions.icu} ${told.join(" ")}`);
JS
node=$("./node_modules/$node_build/bin/node" digits.mjs)
deno=$(./node_modules/.bin/deno run --quiet digits.mjs)
echo "node $("./node_modules/$node_build/bin/node" --version): ICU $node"
echo "$(./node_modules/.bin/deno --version | head -n 1): ICU $deno"
[ "$node" = "78.3 COP 0 HUF 0 IDR 0 PKR 0 RSD 2" ] && [ "$deno" = "78.3 COP 2 HUF 2 IDR 2 PKR 2 RSD 0" ]
