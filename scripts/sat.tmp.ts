import { benchSaturationAgainst } from "./bench/saturation.ts";
import { benchTable } from "./bench/report.ts";
console.log(benchTable(await benchSaturationAgainst(process.argv[2])));
