#!/usr/bin/env node
// The command `duebase-local-stripe`: starts a local Stripe and keeps it up until it is told to end.
import { runServer, serverCommand } from "../service/command.ts";
import { randomToken } from "./core/ids.ts";
import manifest from "./package.json" with { type: "json" };
import { startLocalStripe } from "./server.ts";

/** What is shown where a key is needed and none was asked for; the `stripe` CLI takes no shorter ones. */
const exampleKey = "sk_test_example1234567890";

const command = serverCommand({
  name: "duebase-local-stripe",
  version: manifest.version,
  description: "A Stripe on this machine: test mode only, no money, no network.",
  defaultPort: 12111,
  key: {
    name: "secret key",
    begins: /^(sk|rk)_test_\w/,
    fault: "A key of test mode begins with sk_test_ or rk_test_.",
  },
  notes: `Any key that begins with sk_test_ or rk_test_ is taken, unless --api-key names the one. Never give it a key of a real
account. It answers this machine only, by HTTP. The README says what it plays, and what not.`,
});

await runServer(command, async ({ port, host, webhookUrl, webhookSecret, stateFile, apiKey }) => {
  const secret = webhookSecret ?? `whsec_${randomToken(32)}`;
  const local = await startLocalStripe({
    port,
    hostname: host,
    webhooks: webhookUrl.map((url) => ({ url, secret })),
    stateFile,
    apiKey,
    log: (line) => console.error(line),
  });
  const key = apiKey ?? exampleKey;
  return {
    lines: [
      `Local Stripe ${manifest.version} on ${local.url} (Ctrl-C ends it)`,
      `  stripe-node: new Stripe("${key}", { protocol: "http", host: "${host}", port: ${local.port} })`,
      `  stripe CLI:  stripe trigger invoice.paid --api-base ${local.url} --api-key ${key}`,
      ...webhookUrl.map((url) => `  webhooks:    ${url}, signed with ${secret}`),
    ],
    close: () => local.close(),
  };
});
