import type { ReactNode } from "react";
import { space, type as typeface } from "../theme.ts";
import { ink } from "./paint.ts";
import { useSurroundings } from "./setting.tsx";
import { hairline } from "./text.tsx";

/** A line of a bill: what it is for, a remark below it, and the amount. */
export interface AmountLine {
  label: string;
  detail?: ReactNode;
  amount: string;
}

interface AmountsProps {
  heads: readonly [what: string, amount: string];
  lines: readonly AmountLine[];
  /** Said below the lines where not all of them are shown. */
  remark?: string | undefined;
  /** Below the lines, the last one emphasised. */
  totals: readonly AmountLine[];
}

/** A bill: lines, then what they add up to. */
export function Amounts({ heads, lines, remark, totals }: AmountsProps) {
  const { start, end } = useSurroundings();
  const head = { ...typeface.small, ...ink("muted").style, fontWeight: 400, paddingBottom: "8px" };
  return (
    <table
      width="100%"
      cellPadding="0"
      cellSpacing="0"
      className="edge"
      style={{ margin: `${space.gap} 0 0` }}
    >
      <thead>
        <tr>
          <th scope="col" className="ink-muted" style={{ ...head, textAlign: start }}>
            {heads[0]}
          </th>
          <th scope="col" className="ink-muted" style={{ ...head, textAlign: end }}>
            {heads[1]}
          </th>
        </tr>
      </thead>
      <tbody>
        {lines.map((line, index) => (
          // biome-ignore lint/suspicious/noArrayIndexKey: two lines of a bill may be alike in everything
          <Line key={index} line={line} ruled />
        ))}
        {remark === undefined ? null : (
          <tr>
            <td
              colSpan={2}
              className="ink-muted edge"
              style={{ ...typeface.detail, ...ink("muted").style, ...ruled }}
            >
              {remark}
            </td>
          </tr>
        )}
        {totals.map((line, index) => (
          <Line
            // biome-ignore lint/suspicious/noArrayIndexKey: two taxes may have one name
            key={index}
            line={line}
            ruled={index === 0}
            strong={index === totals.length - 1}
            closing={index === totals.length - 2}
            tight
          />
        ))}
      </tbody>
    </table>
  );
}

const ruled = { borderTop: hairline, padding: `${space.row} 0` };

interface LineProps {
  line: AmountLine;
  /** A hairline above. */
  ruled?: boolean;
  /** What it all comes to. */
  strong?: boolean;
  /** Close to its neighbours, as one of several sums. */
  tight?: boolean;
  /** The last of the tight ones. */
  closing?: boolean;
}

function Line({ line, ruled, strong, tight, closing }: LineProps) {
  const { start, end, before } = useSurroundings();
  const close = tight && !strong;
  const cell = {
    ...typeface.detail,
    ...ink("text").style,
    paddingTop: close && !ruled ? space.fact : space.row,
    paddingBottom: close && !closing ? space.fact : space.row,
    ...(ruled || strong ? { borderTop: hairline } : {}),
    fontWeight: strong ? 600 : 400,
    verticalAlign: "top",
  };
  return (
    <tr>
      <th scope="row" className="ink-text edge" style={{ ...cell, textAlign: start, ...before("16px") }}>
        {line.label}
        {line.detail ? (
          <>
            <br />
            <span {...ink("muted", { fontWeight: 400 })}>{line.detail}</span>
          </>
        ) : null}
      </th>
      <td
        className="ink-text edge"
        style={{ ...cell, textAlign: end, whiteSpace: "nowrap", fontVariantNumeric: "tabular-nums" }}
      >
        {line.amount}
      </td>
    </tr>
  );
}
