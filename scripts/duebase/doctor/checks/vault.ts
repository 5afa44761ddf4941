import { LOCAL_PROJECT } from "../../../../supabase/functions/_duebase/project-ref.ts";
import { type Check, type Finding, mayBeWrong, right, wrong } from "../check.ts";
import type { DoctorContext } from "../context.ts";
import { refInUrl } from "../ref-in-url.ts";

/** What the database knows of the functions: the two names in Vault; and whether they lead to its own project. */
export const vault: Check = {
  name: "vault",
  title: "Vault",
  timeout: 20_000,
  async look(context) {
    const { url, problem } = await context.functions();
    if (problem !== null || url === null) {
      const [says = "Vault has no secret duebase_functions_url", cure = "store it"] =
        problem?.split(/: (.*)/s) ?? [];
      return [
        wrong(says, `${cure}: select vault.create_secret('\u2026', 'its name'), or: npx duebase connect`),
      ];
    }
    return [
      (await leadsElsewhere(context, url)) ??
        right(`it has the functions\u2019 address (${url}) and the cron secret`),
    ];
  },
};

/** A copy of a project has the original's address in its Vault, and calls the original's functions. */
async function leadsElsewhere(context: DoctorContext, url: string): Promise<Finding | undefined> {
  const ref = context.projectRef;
  if (ref === undefined || ref === LOCAL_PROJECT) return undefined;
  const own = `https://${ref}.supabase.co/functions/v1`;
  const trip = await context.roundTrip();
  // What the functions say of themselves counts most; an address of one's own says nothing.
  const target = trip.is === "answered" ? trip.report.project : refInUrl(url);
  if (target === ref) return undefined;
  if (target === undefined) {
    return mayBeWrong(
      `duebase_functions_url in Vault is ${url}, and does not name the project ${ref}`,
      `if it has no domain of its own, store ${own}`,
    );
  }
  return wrong(
    `duebase_functions_url in Vault leads to the project ${target}, and this is the database of ${ref}`,
    `store ${own} under that name, and a cron secret of its own, or: npx duebase connect --project-ref ${ref}`,
  );
}
