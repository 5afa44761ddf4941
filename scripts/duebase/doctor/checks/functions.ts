import { type Check, type Finding, orRight, wrong } from "../check.ts";
import type { DoctorContext } from "../context.ts";
import { ourFunctions } from "../our-functions.ts";

/** Whether each function is deployed, and answers as ours and of this release. */
export const functions: Check = {
  name: "functions",
  title: "functions",
  async look(context) {
    const { url, problem } = await context.functions();
    if (url === null || problem !== null) {
      return [wrong("where the functions are is not known", "first mend what \u201cVault\u201d says")];
    }
    const names = ourFunctions();
    const findings = await Promise.all(names.map((name) => ask(url, name, context)));
    const wrongOnes = findings.filter((finding) => finding !== undefined);
    if (wrongOnes.length === names.length && wrongOnes.every(({ says }) => says.endsWith("did not answer"))) {
      return [
        wrong(
          `nothing answers at ${url}`,
          "correct duebase_functions_url in Vault, or see whether the project runs",
        ),
      ];
    }
    return orRight(wrongOnes, `all ${names.length} are deployed and of release ${context.release}`);
  },
};

async function ask(url: string, name: string, context: DoctorContext): Promise<Finding | undefined> {
  const deploy = `supabase functions deploy ${name}`;
  let response: Response;
  try {
    // Each refuses this method, and names its release as it does.
    response = await fetch(`${url}/${name}`, {
      method: "PUT",
      redirect: "manual",
      signal: AbortSignal.any([context.signal, AbortSignal.timeout(8_000)]),
    });
    await response.body?.cancel();
  } catch {
    return wrong(`${name} did not answer`, deploy);
  }
  const release = response.headers.get("duebase-release");
  if (release === context.release) return undefined;
  if (release !== null) return wrong(`${name} is of release ${release}, not ${context.release}`, deploy);
  if (response.status === 404) return wrong(`${name} is not deployed`, deploy);
  if (response.status === 401) {
    return wrong(
      `${name} is deployed with verify_jwt, and refuses who may call it`,
      `verify_jwt = false under [functions.${name}] in supabase/config.toml, then: ${deploy}`,
    );
  }
  if (response.status >= 500) {
    return wrong(
      `${name} does not start (${response.status})`,
      "a secret is missing or blank, and the function's log names it: supabase secrets set NAME=value",
    );
  }
  return wrong(
    `what answers as ${name} is not Duebase (${response.status})`,
    "correct duebase_functions_url in Vault: https://<project ref>.supabase.co/functions/v1",
  );
}
