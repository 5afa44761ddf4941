import type { User } from "@supabase/supabase-js";
import { useEffect, useState } from "react";
import { supabase } from "../supabase.ts";

/** Who is signed in, in every tab: null for nobody, undefined while it is not known. */
export function useUser(): User | null | undefined {
  const [user, setUser] = useState<User | null>();
  useEffect(() => {
    const { data } = supabase.auth.onAuthStateChange((_event, session) => {
      // A token that was renewed is the same user: nothing is read again for it.
      setUser((known) =>
        known?.id === session?.user.id && known !== undefined ? known : (session?.user ?? null),
      );
    });
    return () => data.subscription.unsubscribe();
  }, []);
  return user;
}
