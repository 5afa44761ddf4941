import { setImmediate } from "node:timers/promises";
import { startInbox } from "../../../scripts/local/inbox/server.ts";
import { clientOf, mail } from "./client.ts";

// What a process does that sends one mail, has one under way, and has enough of it.
const inbox = await startInbox({ port: 0 });
await clientOf(inbox).emails.send(mail());
await inbox.settled();
const { total } = (await (await fetch(`${inbox.url}/api/email/summary`)).json()) as { total: number };
console.log(`${total} mail`);
inbox.faults.add({ action: { kind: "delay", milliseconds: 600_000 } });
const sending = clientOf(inbox).emails.send(mail());
while (inbox.faults.pending > 0) await setImmediate();
await inbox.close();
await sending;
