import { type BuildOptions, build, type Metafile } from "esbuild";
import { projectRoot } from "../local/project.ts";
import { packageFolders } from "./package-folders.ts";

/** What every bundle has in common that Node runs. */
const forNode = {
  absWorkingDir: projectRoot,
  bundle: true,
  format: "esm",
  platform: "node",
  target: "node20.19",
  charset: "utf8",
  legalComments: "none",
} as const satisfies BuildOptions;

/**
 * Bundles programs for Node.
 *
 * @param options paths are from the project's root
 * @returns what went in, and into what
 */
export async function bundleForNode(options: BuildOptions): Promise<Metafile> {
  const { metafile } = await build({ ...forNode, ...options, metafile: true });
  return metafile;
}

/** The folders of the packages of which something is in a bundle, from the project's root. */
export function packagesIn({ inputs }: Metafile): string[] {
  return packageFolders(Object.keys(inputs));
}
