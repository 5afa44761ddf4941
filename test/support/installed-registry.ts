import { readFileSync } from "node:fs";
import { createServer, type Server, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import { create } from "tar";
import { projectRoot } from "../../scripts/local/project.ts";

/** A registry on this machine. */
export interface InstalledRegistry {
  url: string;
  close(): Promise<void>;
}

interface Manifest extends Record<string, unknown> {
  name: string;
  version: string;
}

/** A package that is installed here, and where. */
interface Installed {
  manifest: Manifest;
  folder: string;
}

/**
 * A registry that has what this project has installed, in these versions and no others: what depends on some of it can be
 * installed elsewhere, as from npm's, without the network.
 */
export async function startInstalledRegistry(): Promise<InstalledRegistry> {
  const packages = installedPackages();
  const server = createServer((request, response) => {
    const path = decodeURIComponent(request.url ?? "/").slice(1);
    const [name = "", version] = path.split("/-/");
    const versions = packages.get(name);
    if (!versions) response.writeHead(404).end("{}");
    else if (version === undefined) describe(versions, originOf(server), response);
    else sendArchive(versions.get(version), response);
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  return {
    url: originOf(server),
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}

/** By name and version. What the lock file has for other systems is not here. */
function installedPackages(): Map<string, Map<string, Installed>> {
  const lock = JSON.parse(readFileSync(join(projectRoot, "package-lock.json"), "utf8")) as {
    packages: Record<string, { link?: boolean; optional?: boolean }>;
  };
  const packages = new Map<string, Map<string, Installed>>();
  for (const [path, { link, optional }] of Object.entries(lock.packages)) {
    if (!path.startsWith("node_modules/") || link) continue;
    const folder = join(projectRoot, path);
    const manifest = manifestIn(folder, optional === true);
    if (!manifest) continue;
    const versions = packages.get(manifest.name) ?? new Map<string, Installed>();
    packages.set(manifest.name, versions.set(manifest.version, { manifest, folder }));
  }
  return packages;
}

function manifestIn(folder: string, mayBeMissing: boolean): Manifest | undefined {
  try {
    return JSON.parse(readFileSync(join(folder, "package.json"), "utf8")) as Manifest;
  } catch (error) {
    if (mayBeMissing && (error as NodeJS.ErrnoException).code === "ENOENT") return undefined;
    throw error;
  }
}

function originOf(server: Server): string {
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}

function describe(versions: Map<string, Installed>, origin: string, response: ServerResponse): void {
  const described = [...versions.values()].map(({ manifest }) => {
    const { devDependencies: _ours, ...told } = manifest;
    const tarball = `${origin}/${manifest.name}/-/${manifest.version}`;
    return [manifest.version, { ...told, dist: { tarball } }] as const;
  });
  const [latest] = described;
  response.setHeader("content-type", "application/json");
  response.end(
    JSON.stringify({
      name: latest?.[1].name,
      "dist-tags": { latest: latest?.[0] },
      versions: Object.fromEntries(described),
    }),
  );
}

function sendArchive(installed: Installed | undefined, response: ServerResponse): void {
  if (!installed) {
    response.writeHead(404).end();
    return;
  }
  const { folder } = installed;
  // What is installed below it is a package of its own.
  const filter = (path: string): boolean => !path.split("/").includes("node_modules");
  create({ gzip: { level: 1 }, cwd: folder, prefix: "package", filter }, ["."])
    .on("error", (error: unknown) => response.destroy(new Error(String(error))))
    .pipe(response);
}
