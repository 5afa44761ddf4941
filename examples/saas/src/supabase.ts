import { createClient } from "@supabase/supabase-js";
import type { Database } from "./database.gen.ts";

/** The project, with the publishable key alone: what anybody may read is what row level security lets them. */
export const supabase = createClient<Database>(
  import.meta.env.VITE_SUPABASE_URL,
  import.meta.env.VITE_SUPABASE_PUBLISHABLE_KEY,
);
