/** What the pages that the command writes share: one file each that needs nothing else, no script, no network. */

/**
 * The colours are told apart by the colour-blind too, on white and on near-black: good is blue, bad is orange, and
 * nothing depends on red and green alone.
 */
const style = `
:root { color-scheme: light dark; --text: #1c2430; --faint: #5d6877; --line: #dfe3e8; --page: #f5f6f8; --card: #fff;
  --good: #0b6bb8; --bad: #c8500a; --open: #8a94a3; --forgiven: #8c6bb1; --red: #b3261e; --amber: #96690a; --green: #1d7a46; }
@media (prefers-color-scheme: dark) {
  :root { --text: #e7eaee; --faint: #a3adba; --line: #363d47; --page: #14171b; --card: #1d2127;
    --good: #58b0f0; --bad: #f0854a; --open: #8d97a5; --forgiven: #b79ae0; --red: #ff8a80; --amber: #e9b949; --green: #6fd39a; }
}
* { box-sizing: border-box; }
body { margin: 0; padding: 2rem 1rem; background: var(--page); color: var(--text); font: 16px/1.5 system-ui, sans-serif; }
main { max-width: 66rem; margin: 0 auto; }
h1 { font-size: 1.5rem; margin: 0; } h2 { font-size: 1.2rem; margin: 0; } h3 { font-size: 1rem; margin: 2rem 0 .5rem; }
p { margin: .25rem 0; color: var(--faint); }
section { background: var(--card); border: 1px solid var(--line); border-radius: 12px; padding: 1.5rem; margin-top: 1.5rem; }
dl { display: grid; grid-template-columns: repeat(auto-fit, minmax(9.5rem, 1fr)); gap: 1rem; margin: 1rem 0 0; }
dt { color: var(--faint); font-size: .85rem; } dd { margin: 0; font-size: 1.4rem; font-weight: 600; }
dd small { display: block; font-size: .85rem; font-weight: 400; color: var(--faint); }
svg { display: block; width: 100%; min-width: 36rem; height: auto; font: 13px system-ui, sans-serif; }
svg .good { fill: var(--good); } svg .bad { fill: var(--bad); } svg .open { fill: var(--open); } svg .forgiven { fill: var(--forgiven); }
svg text { fill: var(--text); } svg .tick { fill: var(--faint); } svg .grid { stroke: var(--line); }
.key { display: inline-block; width: .8em; height: .8em; border-radius: 2px; margin: 0 .35em 0 1em; }
.key:first-child { margin-left: 0; }
.key.good { background: var(--good); } .key.bad { background: var(--bad); } .key.open { background: var(--open); }
.key.forgiven { background: var(--forgiven); }
.wide { overflow-x: auto; }
table { width: 100%; border-collapse: collapse; font-size: .85rem; font-variant-numeric: tabular-nums; }
th, td { padding: .35rem .3rem; text-align: right; border-bottom: 1px solid var(--line); white-space: nowrap; }
th:first-child, td:first-child { text-align: left; } th { color: var(--faint); font-weight: 500; white-space: normal; vertical-align: bottom; }
th.name, td.name { text-align: left; }
.light { font-weight: 600; } .light.red { color: var(--red); } .light.amber { color: var(--amber); } .light.green { color: var(--green); }
.check { border-top: 1px solid var(--line); padding: .6rem 0; display: grid; grid-template-columns: 5.5rem 1fr auto; gap: 0 1rem; }
.check:first-of-type { border-top: 0; }
.check p { grid-column: 2 / 4; margin: 0; overflow-wrap: anywhere; } .check .cure { color: var(--text); }
.check .value { font-variant-numeric: tabular-nums; text-align: right; } .check .value small { color: var(--faint); display: block; }
@media (max-width: 36rem) {
  body { padding: 1rem .5rem; } section { padding: 1rem; }
  .check { grid-template-columns: 1fr auto; } .check .light { grid-column: 1 / 3; } .check p { grid-column: 1 / 3; }
}
`;

/** Text as it stands in HTML and SVG. */
export function escaped(text: string): string {
  return text.replace(/[&<>"]/g, (sign) => `&#${sign.charCodeAt(0)};`);
}

/** A page with a heading, a line under it, and sections. `title` and `about` are text; `sections` are HTML. */
export function page(title: string, about: string, sections: readonly string[]): string {
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>${escaped(title)}</title>
<style>${style}</style>
</head>
<body><main>
<h1>${escaped(title)}</h1>
<p>${escaped(about)}</p>
${sections.map((section) => `<section>${section}</section>`).join("\n")}
</main></body>
</html>
`;
}

/** Figures in a row: what it is, how much, and a note under it. */
export function tiles(shown: readonly (readonly [name: string, value: string, note: string])[]): string {
  const drawn = shown.map(
    ([name, value, note]) =>
      `<div><dt>${escaped(name)}</dt><dd>${escaped(value)}<small>${escaped(note)}</small></dd></div>`,
  );
  return `<dl>${drawn.join("")}</dl>`;
}

/** What the colours of a chart mean. */
export function legend(parts: readonly { colour: Colour; name: string }[]): string {
  return `<p>${parts.map(({ colour, name }) => `<span class="key ${colour}"></span>${escaped(name)}`).join("")}</p>`;
}

/** The colours of charts, by meaning. */
export type Colour = "good" | "bad" | "open" | "forgiven";
