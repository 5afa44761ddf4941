import { existsSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
export interface LocalStripe {
  url: string;
  close(): Promise<void>;
}
export async function startLocalStripe(options: Record<string, unknown>): Promise<LocalStripe> {
  const file = join(dirname(fileURLToPath(import.meta.url)), "stripe", "server.ts");
  if (existsSync(file)) return (await import(file)).startLocalStripe(options);
  return { url: `http://127.0.0.1:${options.port}`, close: async () => {} };
}
