import type { ReactNode } from "react";
import { longestWord } from "../rendering/names.ts";
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

/**
 * A bill: lines, then what they add up to. Where a label holds a long word the two are tables of their own, so that
 * on a phone each amount can stand below its label.
 */
export function Amounts({ heads, lines, remark, totals }: AmountsProps) {
  const stacks = lines.some(({ label }) => longestWord(label) > space.longWord);
  const bill = [
    ...lines.map((line, index) => (
      // biome-ignore lint/suspicious/noArrayIndexKey: two lines of a bill may be alike in everything
      <Line key={`line ${index}`} line={line} ruled stacks={stacks} />
    )),
    remark === undefined ? null : <Remark key="remark">{remark}</Remark>,
  ];
  const sums = totals.map((line, index) => (
    <Line
      // biome-ignore lint/suspicious/noArrayIndexKey: two taxes may have one name
      key={`sum ${index}`}
      line={line}
      ruled={index === 0}
      strong={index === totals.length - 1}
      closing={index === totals.length - 2}
      tight
    />
  ));
  const head = <Head heads={heads} hides={stacks} />;
  if (!stacks) return <Table head={head} rows={[...bill, ...sums]} />;
  return (
    <>
      <Table head={head} rows={bill} />
      <Table rows={sums} follows />
    </>
  );
}

/** `follows`: without a gap before it. */
function Table({ head, rows, follows }: { head?: ReactNode; rows: ReactNode; follows?: boolean }) {
  return (
    <table
      width="100%"
      cellPadding="0"
      cellSpacing="0"
      className="edge"
      style={{ margin: follows ? 0 : `${space.gap} 0 0` }}
    >
      {head}
      <tbody>{rows}</tbody>
    </table>
  );
}

function Head({ heads, hides }: Pick<AmountsProps, "heads"> & { hides: boolean }) {
  const { start, end } = useSurroundings();
  const head = { ...typeface.small, ...ink("muted").style, fontWeight: 400, paddingBottom: "8px" };
  return (
    <thead className={hides ? "hidden-when-stacked" : undefined}>
      <tr>
        <th scope="col" className="ink-muted" style={{ ...head, textAlign: start }}>
          {heads[0]}
        </th>
        <th scope="col" className="ink-muted" style={{ ...head, textAlign: end, whiteSpace: "nowrap" }}>
          {heads[1]}
        </th>
      </tr>
    </thead>
  );
}

function Remark({ children }: { children: string }) {
  return (
    <tr>
      <td
        colSpan={2}
        className="ink-muted edge"
        style={{ ...typeface.detail, ...ink("muted").style, ...ruled }}
      >
        {children}
      </td>
    </tr>
  );
}

const ruled = { borderTop: hairline, padding: `${space.row} 0` };

interface LineProps {
  line: AmountLine;
  /** A hairline above. */
  ruled?: boolean;
  /** On a phone the amount stands below, for a label with a long word. */
  stacks?: boolean;
  /** The sum of it all. */
  strong?: boolean;
  /** Close to its neighbours, as one of several sums. */
  tight?: boolean;
  /** The last of the tight ones. */
  closing?: boolean;
}

function Line({ line, ruled, stacks, strong, tight, closing }: LineProps) {
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
    <tr className={stacks ? "stacked" : undefined}>
      <th
        scope="row"
        className={stacks ? "ink-text edge stacked" : "ink-text edge"}
        style={{ ...cell, textAlign: start, ...before("16px") }}
      >
        {line.label}
        {line.detail ? (
          <>
            <br />
            <span {...ink("muted", { fontWeight: 400 })}>{line.detail}</span>
          </>
        ) : null}
      </th>
      <td
        className={stacks ? "ink-text edge stacked below" : "ink-text edge"}
        style={{ ...cell, textAlign: end, whiteSpace: "nowrap", fontVariantNumeric: "tabular-nums" }}
      >
        {line.amount}
      </td>
    </tr>
  );
}
