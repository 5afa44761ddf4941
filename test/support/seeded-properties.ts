import { configureGlobal } from "fast-check";
import { SEED } from "./seed.ts";

// fast-check prints its seed when a property breaks, and takes this one where a test names none.
configureGlobal({ seed: SEED });
