import { benchTable } from "./bench/report.ts";
import { benchSaturationAgainst } from "./bench/saturation.ts";

console.log(benchTable(await benchSaturationAgainst(process.argv[2])));
