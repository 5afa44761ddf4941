import { type Check, type Finding, orRight, wrong } from "../check.ts";

/** What a new project has; a customer is never to read it. */
const DEFAULT_NAME = "Example App";

/** Name, addresses and sender that customers see. */
export const settings: Check = {
  name: "settings",
  title: "name, URL, sender",
  async look(context) {
    const { app_name, app_url, email_from } = await context.settings();
    const findings: Finding[] = [];
    const set = (column: string) => `update billing.settings set ${column} = '\u2026' where id`;
    if (app_name === DEFAULT_NAME) {
      findings.push(wrong(`billing.settings.app_name is still ${DEFAULT_NAME}`, set("app_name")));
    }
    // On one's own machine the application is there too.
    if (context.projectRef !== "local" && isOnThisMachine(app_url)) {
      findings.push(
        wrong(`billing.settings.app_url leads to the reader\u2019s own machine (${app_url})`, set("app_url")),
      );
    }
    if (email_from === null || email_from.trim() === "") {
      findings.push(wrong("billing.settings.email_from is not set", set("email_from")));
    }
    return orRight(findings, `customers read \u201c${app_name}\u201d, and links lead to ${app_url}`);
  },
};

function isOnThisMachine(address: string): boolean {
  return URL.canParse(address) && /^(localhost|127\.\d+\.\d+\.\d+|\[::1\])$/.test(new URL(address).hostname);
}
