#!/usr/bin/env bash
# deno 2.9.6: a type-only import of an npm package counts as the whole package in the graph of what a module needs.
#
# Expected: `import type` is erased before anything runs, so a module that imports nothing but types needs no package:
#   the graph that `deno info` gives, from which deploy tools take what to carry, is the module's own few bytes.
# Actual: the graph of a module with one type-only import of stripe 23.1.0 lists the npm package and counts all of its
#   files, though the same module runs where nothing is cached and nothing may be fetched.
# Seen: "without the import: 0 npm packages, 76B", "with a type-only import: 1 npm packages, 17.44MB", and the module ran
#   with an empty cache and nothing fetched.
# Matters where a platform bounds the size of a function (20 MB): the types alone use nearly all of it up.
set -euo pipefail
folder=$(mktemp -d); trap 'rm -rf "$folder"' EXIT; cd "$folder"
export DENO_DIR="$folder/deno" NO_COLOR=1
npm init -y >/dev/null
npm install --silent --no-audit --no-fund deno@2.9.6 >/dev/null
deno=$PWD/node_modules/.bin/deno
mkdir typed plain
echo '{}' > typed/deno.json; echo '{}' > plain/deno.json
cat > typed/main.ts <<'TS'
import type Stripe from "npm:stripe@23.1.0";
const keys: (keyof Stripe.Event)[] = ["id", "type", "created"];
console.log(keys.length);
TS
cat > plain/main.ts <<'TS'
const keys: string[] = ["id", "type", "created"];
console.log(keys.length);
TS
graph() { # graph <folder>: the last line that tells the size, and how many npm packages are listed
  (cd "$1" && "$deno" info main.ts 2>/dev/null) | awk '/^size:/ { size = $2 } /npm:/ { packages++ } END { printf "%d npm packages, %s\n", packages, size }'
}
without=$(graph plain)
with=$(graph typed)
# With an empty cache and no leave to fetch anything: whatever it needs at run time is missing.
ran=$(cd typed && DENO_DIR="$folder/empty" "$deno" run --quiet --no-check --cached-only main.ts 2>&1 || true)
echo "$("$deno" --version | head -n 1)"
echo "without the import: $without"
echo "with a type-only import: $with"
echo "run with an empty cache and nothing fetched: $ran"
[[ $without =~ ^0\ npm\ packages,\ [0-9]+B$ ]]
[[ $with =~ ^1\ npm\ packages,\ 1[0-9]\.[0-9]+MB$ ]]
[ "$ran" = 3 ]
