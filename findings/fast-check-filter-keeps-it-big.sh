#!/usr/bin/env bash
# fast-check 4.10.2: a filter for even numbers all but switches off shrinking: counterexamples stay in the hundreds of
# millions.
#
# Expected: what is filtered out in shrinking says nothing about the property, so the search goes on past it. The smallest
#   even number above 1000 is 1002; a result near it would do.
# Actual: a candidate that the filter rejects counts like one that passed, and everything below it is given up. Odd
#   candidates come early in each halving, so the search ends at once, for every seed. `fc.pre` does the same. Without a
#   filter, or with `map`, the same values shrink to the smallest there is.
# Seen, over 100 seeds: "map(n => 2n): 1002 for 100 seeds", "filter(even): 1002 for 0 seeds, median above 100000000".
# Matters wherever a number is filtered: the counterexample that is reported is as random as the one first met.
set -euo pipefail
folder=$(mktemp -d); trap 'rm -rf "$folder"' EXIT; cd "$folder"
npm init -y >/dev/null
npm install --silent --no-audit --no-fund fast-check@4.10.2 >/dev/null

cat > run.mjs <<'JS'
import fc from "fast-check";

const even = (n) => n % 2 === 0;
const number = fc.integer({ min: 0, max: 1_000_000_000 });
const small = (n) => n <= 1000;
const properties = {
  "no filter": [1001, fc.property(number, small)],
  "map(n => 2n)": [1002, fc.property(fc.integer({ min: 0, max: 500_000_000 }).map((n) => 2 * n), small)],
  "filter(even)": [1002, fc.property(number.filter(even), small)],
  "pre(even)": [1002, fc.property(number, (n) => (fc.pre(even(n)), small(n)))],
};
for (const [name, [least, property]] of Object.entries(properties)) {
  const found = Array.from({ length: 100 }, (_, seed) => fc.check(property, { seed, numRuns: 200 }))
    .map(({ counterexample }) => counterexample[0])
    .sort((a, b) => a - b);
  const median = found[50] > 100_000_000 ? "above 100000000" : found[50];
  console.log(`${name}: ${least} for ${found.filter((n) => n === least).length} seeds, median ${median}`);
}
JS
seen=$(node run.mjs)
echo "$seen"
[ "$seen" = "no filter: 1001 for 100 seeds, median 1001
map(n => 2n): 1002 for 100 seeds, median 1002
filter(even): 1002 for 0 seeds, median above 100000000
pre(even): 1002 for 0 seeds, median above 100000000" ]
