import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

/** The project's root: the folder that holds package.json, supabase/ and scripts/. */
export const projectRoot = join(dirname(fileURLToPath(import.meta.url)), "..", "..");

/** Where a stack keeps its data unless told otherwise. */
export const defaultStackDirectory = join(projectRoot, ".stack");
