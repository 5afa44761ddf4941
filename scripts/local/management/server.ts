import { createServer } from "node:http";
import { getRequestListener } from "@hono/node-server";
import { localKeys } from "../keys.ts";
import { openPort } from "../listen.ts";
import { Faults } from "../service/faults.ts";
import { RequestLedger } from "../service/ledger.ts";
import { createApp, type FaultAction, type Permission } from "./app.ts";
import { HostedProject, type ProjectOptions } from "./project.ts";

/** How the local Management API is started. */
export interface LocalManagementOptions extends ProjectOptions {
  /** 0 takes a free one. */
  port: number;
  /** The one access token that is accepted. */
  accessToken?: string;
  /** What a scoped token may do; everything where absent. */
  permissions?: Permission[];
  log?: (line: string) => void;
}

/** A local Management API that runs: where it is, and what tests look at and change. */
export interface LocalManagement {
  /** For SUPABASE_API_URL. */
  url: string;
  accessToken: string;
  /** What the platform keeps; tests look here and change what a person would change in the dashboard. */
  project: HostedProject;
  /** What was asked, in order. */
  ledger: RequestLedger;
  /** What is to go wrong. */
  faults: Faults<FaultAction>;
  /** What the token may do; may be changed at any time. */
  permissions: Set<Permission>;
  close(): Promise<void>;
}

/** Everything that these routes ask for. */
export const allPermissions: readonly Permission[] = [
  "project_admin_read",
  "edge_functions_read",
  "edge_functions_write",
  "edge_functions_secrets_read",
  "edge_functions_secrets_write",
  "data_api_config_read",
  "data_api_config_write",
  "api_gateway_keys_read",
  "api_gateway_keys_secret_read",
];

/**
 * Start a Management API of one's own: that of Supabase, for one project, as far as `duebase` asks it.
 *
 * @throws if the port is taken
 */
export async function startLocalManagement(options: LocalManagementOptions): Promise<LocalManagement> {
  const accessToken = options.accessToken ?? "sbp_duebase_local_example";
  const closing = new AbortController();
  const project = new HostedProject(options);
  const ledger = new RequestLedger();
  const faults = new Faults<FaultAction>();
  const permissions = new Set(options.permissions ?? allPermissions);
  const app = createApp({
    project,
    faults,
    ledger,
    accessToken,
    permissions,
    apiKeys: localKeys,
    closing: closing.signal,
    log: options.log ?? (() => {}),
  });
  const { port, close } = await openPort(createServer(getRequestListener(app.fetch)), options.port);
  return {
    url: `http://127.0.0.1:${port}`,
    accessToken,
    project,
    ledger,
    faults,
    permissions,
    async close() {
      closing.abort();
      await close();
    },
  };
}
