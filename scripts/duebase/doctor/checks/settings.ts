import { type Check, orRight, wrong } from "../check.ts";

/** Name, addresses and sender that customers see. */
export const settings: Check = {
  name: "settings",
  title: "name, URL, sender",
  async look(context) {
    const [row] = await context.sql<{ problems: { setting: string; problem: string }[] }[]>`
      select billing_private.unready_settings(${context.projectRef ?? "hosted"}) as problems`;
    const { app_name, app_url } = await context.settings();
    return orRight(
      (row?.problems ?? []).map(({ setting, problem }) =>
        wrong(
          `billing.settings.${setting} ${problem.split(": ")[0]}`,
          `update billing.settings set ${setting} = '\u2026' where id`,
        ),
      ),
      `customers read \u201c${app_name}\u201d, and links lead to ${app_url}`,
    );
  },
};
