/**
 * `npm run bench`: every measured promise of the project, in one table. `-- verify database acknowledge` picks some;
 * `-- --against COMMIT` compares with an older build instead.
 */
import { Command } from "commander";
import { benchAcknowledgement, benchAcknowledgementAgainst } from "./acknowledge.ts";
import { benchAgainst } from "./against.ts";
import { benchDatabase } from "./database.ts";
import { benchDunning } from "./dunning.ts";
import { benchForgetting } from "./forget.ts";
import { benchHealth } from "./health.ts";
import { benchHistory } from "./history.ts";
import { benchOutbox } from "./outbox.ts";
import { benchOverviews } from "./overviews.ts";
import { benchRatios } from "./ratios.ts";
import { benchReadsAgainst } from "./reads-against.ts";
import { type BenchRow, benchTable } from "./report.ts";
import { benchRowSecurity } from "./rls.ts";
import { benchSaturationAgainst } from "./saturation.ts";
import { benchSyncEngine } from "./sync-engine.ts";
import { benchTick } from "./tick.ts";
import { benchVerification } from "./verify.ts";
import { benchYear } from "./year.ts";

const benches: Record<string, () => Promise<BenchRow[]>> = {
  verify: benchVerification,
  database: benchDatabase,
  outbox: benchOutbox,
  dunning: benchDunning,
  forget: benchForgetting,
  health: benchHealth,
  history: benchHistory,
  overviews: benchOverviews,
  rls: benchRowSecurity,
  tick: benchTick,
  acknowledge: benchAcknowledgement,
  year: benchYear,
  ratios: benchRatios,
  "sync-engine": benchSyncEngine,
};

const program = new Command("bench")
  .description("Measures what the project promises of its speed, as ratios taken in one run on this machine.")
  .argument("[names...]", `which to run: ${Object.keys(benches).join(", ")}; all by default`)
  .option(
    "--against <commit>",
    "measures beside the build of that commit receiving, projecting, a user's own reads and the whole stack, and of the rest only what is named",
  )
  .parse();

const { against } = program.opts<{ against?: string }>();
const names = program.args.length > 0 || against !== undefined ? program.args : Object.keys(benches);
const rows: BenchRow[] = [];
if (against !== undefined) {
  console.error(`measuring against ${against} …`);
  rows.push(...(await benchAgainst(against)), ...(await benchReadsAgainst(against)));
  rows.push(...(await benchSaturationAgainst(against)), ...(await benchAcknowledgementAgainst(against)));
}
for (const name of names) {
  const bench = benches[name];
  if (!bench) program.error(`no bench named ${name}; there are ${Object.keys(benches).join(", ")}`);
  else {
    console.error(`measuring ${name} …`);
    rows.push(...(await bench()));
  }
}
console.log(benchTable(rows));
const missed = rows.filter((row) => row.met === false);
if (missed.length > 0) {
  console.log(
    `${missed.length} target(s) missed. Anything else that runs on this machine counts against them.`,
  );
  process.exitCode = 1;
}
