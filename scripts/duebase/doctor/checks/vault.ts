import { type Check, mayBeWrong, right, wrong } from "../check.ts";

/** What the database knows of the functions: the two names in Vault. */
export const vault: Check = {
  name: "vault",
  title: "Vault",
  async look(context) {
    const { url, problem } = await context.functions();
    if (problem !== null) {
      const [says = problem, cure = "select vault.create_secret('value', 'name')"] = problem.split(/: (.*)/s);
      return [
        wrong(says, `${cure}: select vault.create_secret('\u2026', 'its name'), or: npx duebase connect`),
      ];
    }
    const ref = context.projectRef;
    if (ref !== undefined && ref !== "local" && !url?.includes(ref)) {
      return [
        mayBeWrong(
          `duebase_functions_url in Vault is ${url}, and does not name the project ${ref}`,
          `if it has no domain of its own, store https://${ref}.supabase.co/functions/v1`,
        ),
      ];
    }
    return [right(`it has the functions\u2019 address (${url}) and the cron secret`)];
  },
};
