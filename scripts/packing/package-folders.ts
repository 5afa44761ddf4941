/**
 * The folders of the packages that files belong to, sorted, each once; what belongs to none is left out.
 *
 * @param paths of files, as esbuild names what goes into a bundle
 */
export function packageFolders(paths: readonly string[]): string[] {
  const folders = paths.flatMap((path) => path.match(/^.*node_modules\/(?:@[^/]+\/)?[^/]+/)?.[0] ?? []);
  return [...new Set(folders)].sort();
}
