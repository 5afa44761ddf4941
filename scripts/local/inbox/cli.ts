#!/usr/bin/env node
// The command `duebase-local-inbox`: starts a local inbox and keeps it up until it is told to end.
import { runServer, serverCommand } from "../service/command.ts";
import manifest from "./package.json" with { type: "json" };
import { startInbox } from "./server.ts";

const command = serverCommand({
  name: "duebase-local-inbox",
  version: manifest.version,
  description: "A Resend on this machine that sends nothing: it shows every mail on a page.",
  defaultPort: 54324,
  key: { name: "API key", begins: /^re_\w/, fault: "A key of Resend begins with re_." },
  notes: `Any key that begins with re_ is taken, unless --api-key names the one. Never give it a key of a real account. A webhook's
secret is whsec_ and base64. It answers this machine only, by HTTP. The README says what it keeps to, and what not.`,
});

await runServer(command, async ({ port, host, webhookUrl, webhookSecret, stateFile, apiKey }) => {
  const inbox = await startInbox({
    port,
    hostname: host,
    webhooks: webhookUrl.map((url) => ({ url })),
    webhookSecret,
    stateFile,
    apiKey,
    log: (line) => console.error(line),
  });
  return {
    lines: [
      `Local inbox ${manifest.version} on ${inbox.url} (Ctrl-C ends it)`,
      `  resend:   new Resend("${apiKey ?? "re_example"}", { baseUrl: "${inbox.apiUrl}" }), or RESEND_BASE_URL=${inbox.apiUrl}`,
      ...webhookUrl.map((url) => `  webhooks: ${url}, signed with ${inbox.webhookSecret}`),
    ],
    close: () => inbox.close(),
  };
});
