import { startInbox } from "../../../scripts/local/inbox/server.ts";
import { clientOf, mail } from "./client.ts";

const inbox = await startInbox({ port: 0 });
await clientOf(inbox).emails.send(mail());
await inbox.settled();
const { total } = (await (await fetch(`${inbox.url}/api/email/summary`)).json()) as { total: number };
console.log(`${total} mail`);
await inbox.close();
