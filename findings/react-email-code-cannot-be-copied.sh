#!/usr/bin/env bash
# react-email 6.11.6: code from a CodeBlock does not run when it is copied from the mail, its plain text part included.
#
# Expected: spaces of the code are spaces. HTML may need help to keep them (`white-space: pre` is set already); the plain
#   text part needs none.
# Actual: every space, also a single one between two words, becomes three characters that look like one: a no-break space,
#   a zero width joiner and a zero width space. Plain text is made from the HTML and keeps them.
# Seen: `echo it runs` has 12 characters and comes out with 16, and bash answers "command not found" (127).
# Matters for a command or a configuration that is sent for its reader to paste.
set -euo pipefail
folder=$(mktemp -d); trap 'rm -rf "$folder"' EXIT; cd "$folder"
npm init -y >/dev/null
npm install --silent --no-audit --no-fund react-email@6.11.6 react@19.3.1 react-dom@19.3.1 >/dev/null

cat > run.mjs <<'JS'
import { createElement } from "react";
import { CodeBlock, ghcolors, render } from "react-email";

const block = createElement(CodeBlock, { code: "echo it runs", language: "bash", theme: ghcolors });
process.stdout.write((await render(block, { plainText: true })).trim());
JS
node run.mjs > text.txt
length=$(node -p 'fs.readFileSync("text.txt", "utf8").length')
odd=$(node -p '[...new Set(fs.readFileSync("text.txt", "utf8").replace(/[ -~\n]/g, ""))].map((c) => "U+" + c.codePointAt(0).toString(16).toUpperCase().padStart(4, "0")).sort().join(" ")')
typed=$(bash -c 'echo it runs')
status=0; bash text.txt 2>/dev/null || status=$?
echo "plain text of \`echo it runs\`: $length characters, among them $odd"
echo "typed: $typed"
echo "copied: exit status $status"
[ "$length" = 16 ] && [ "$odd" = "U+00A0 U+200B U+200D" ] && [ "$typed" = "it runs" ] && [ "$status" = 127 ]
