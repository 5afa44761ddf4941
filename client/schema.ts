import type { SupabaseClient } from "@supabase/supabase-js";
import type { Database } from "../supabase/functions/_duebase/database.gen.ts";

type Billing = ReturnType<SupabaseClient<Database, "billing">["schema"]>;

/** Schema `billing` with its types, whatever types the client was made with. */
export function billing(supabase: SupabaseClient): Billing {
  return supabase.schema("billing") as unknown as Billing;
}
