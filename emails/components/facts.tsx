import { Fragment, type ReactNode } from "react";
import { Section } from "react-email";
import { longestWord } from "../rendering/names.ts";
import { light, radius, space, type as typeface } from "../theme.ts";
import { ink } from "./paint.ts";
import { useSurroundings } from "./setting.tsx";

/** A label with what is known about it, on one line or several. Left out where that is nothing. */
export type Fact = readonly [label: string, value: ReactNode | readonly string[]];

/** A date, an amount, a card: on a phone its label is broken rather than it. */
const SHORT = 20;

/** Characters that stand beside each other on a phone. */
const BESIDE = 26;

/** Whether label and value would break each other's words side by side on a phone. */
function needsTheWidth(label: string, value: Fact[1]): boolean {
  if (isLines(value)) return value.some((line) => needsTheWidth(label, line));
  if (typeof value !== "string") return false;
  // What is longer takes the room of the label first, and breaks only then.
  const unbroken = value.length <= SHORT ? value.length : Math.max(SHORT, longestWord(value));
  return longestWord(value) > space.longWord || longestWord(label) + unbroken > BESIDE;
}

function isLines(value: Fact[1]): value is readonly string[] {
  return Array.isArray(value);
}

function Lines({ lines }: { lines: readonly string[] }) {
  return lines.map((line, index) => (
    // biome-ignore lint/suspicious/noArrayIndexKey: the lines of an address have no other identity
    <Fragment key={index}>
      {index > 0 ? <br /> : null}
      {line}
    </Fragment>
  ));
}

/** The facts of an email, one a line: a real table, read row by row by a screen reader and by plain text. */
export function Facts({ facts }: { facts: readonly Fact[] }) {
  const { start, end, before } = useSurroundings();
  const known = facts.filter(([, value]) => value !== undefined && value !== null && value !== "");
  if (known.length === 0) return null;
  const stacks = known.some(([label, value]) => needsTheWidth(label, value));
  const stacked = stacks ? ["stacked"] : [];
  const cell = { ...typeface.detail, padding: `${space.fact} 0`, verticalAlign: "top" };
  return (
    <Section
      className="on-panel"
      tdClassName="panel"
      style={{
        backgroundColor: light.panel,
        borderRadius: radius.panel,
        borderCollapse: "separate",
        margin: `${space.gap} 0 0`,
        padding: "12px 18px",
      }}
    >
      <table width="100%" cellPadding="0" cellSpacing="0">
        <tbody>
          {known.map(([label, value]) => (
            <tr key={label}>
              <th
                scope="row"
                {...ink(
                  "muted",
                  { ...cell, textAlign: start, fontWeight: 400, ...before("16px") },
                  "fact",
                  ...stacked,
                )}
              >
                {label}
              </th>
              <td
                {...ink(
                  "text",
                  {
                    ...cell,
                    textAlign: end,
                    fontVariantNumeric: "tabular-nums",
                    ...(typeof value === "string" && value.length <= SHORT ? { whiteSpace: "nowrap" } : {}),
                  },
                  "fact-value",
                  ...(stacks ? ["stacked", "stacked-below"] : []),
                )}
              >
                {isLines(value) ? <Lines lines={value} /> : value}
              </td>
            </tr>
          ))}
        </tbody>
      </table>
    </Section>
  );
}
