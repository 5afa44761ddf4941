import { join } from "node:path";
import { build } from "esbuild";
import { projectRoot as root } from "./local/project.ts";
import { declareTypes } from "./packing/declarations.ts";

/** Builds what an application imports as `duebase/client`: client.js, and its types in types/. */
export async function buildClient(folder: string): Promise<void> {
  await build({
    absWorkingDir: root,
    entryPoints: ["client/index.ts"],
    outfile: join(folder, "client.js"),
    bundle: true,
    format: "esm",
    platform: "neutral",
    target: "es2022",
    legalComments: "none",
  });
  declareTypes("client", join(folder, "types"));
}
