/** What a project is called that runs on one's own machine. */
export const LOCAL_PROJECT = "local";

/** A reference as the platform gives it to each project. */
const REF = "[a-z]{20}";
/** Where the platform, `supabase start` and the local stack put a project that is nobody's but one's own. */
const LOCAL_HOSTS = /^(localhost|127\.\d+\.\d+\.\d+|\[::1\]|kong|host\.docker\.internal)$/;

/**
 * Which project this function runs in. A copy of a project, with its database and its secrets, has another reference,
 * so nothing that is copied along may say it: it is in `SUPABASE_URL`, or, where that is a custom domain, in
 * `DENO_DEPLOYMENT_ID` (`<ref>_<function>_<version>`). Only where the platform says neither (self-hosted) it is
 * `DUEBASE_PROJECT_REF`, else the host. https://supabase.com/docs/guides/functions/secrets
 *
 * @param supabaseUrl an http(s) address
 */
export function projectRef(supabaseUrl: string, read: (name: string) => string | undefined): string {
  const { hostname } = new URL(supabaseUrl);
  const own = new RegExp(`^(${REF})\\.supabase\\.[a-z]+$`).exec(hostname)?.[1];
  const deployed = new RegExp(`^(${REF})_`).exec(read("DENO_DEPLOYMENT_ID") ?? "")?.[1];
  const named = read("DUEBASE_PROJECT_REF")?.trim();
  return own ?? deployed ?? (named || (LOCAL_HOSTS.test(hostname) ? LOCAL_PROJECT : hostname));
}
