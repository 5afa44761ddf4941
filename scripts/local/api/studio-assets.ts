import { readFile } from "node:fs/promises";
import { createRequire } from "node:module";
import { dirname, extname, join, normalize } from "node:path";

const types: Record<string, string> = {
  ".js": "text/javascript",
  ".css": "text/css",
  ".woff2": "font/woff2",
  ".ico": "image/x-icon",
};

const folder = dirname(createRequire(import.meta.url).resolve("@supabase/lite/static/favicon.ico"));

/** Answers a request for /static/… with the file of that name that @supabase/lite ships for its Studio. */
export async function serveStudioAssets(path: string): Promise<Response> {
  const file = join(folder, normalize(path.replace(/^\/static/, "/")));
  if (!file.startsWith(folder)) return new Response(null, { status: 404 });
  try {
    return new Response(new Uint8Array(await readFile(file)), {
      headers: { "content-type": types[extname(file)] ?? "application/octet-stream" },
    });
  } catch {
    return new Response(null, { status: 404 });
  }
}
