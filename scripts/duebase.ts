#!/usr/bin/env node
// The command `duebase`: in this repository `npm run duebase -- <command>`, in the package `npx duebase <command>`.
import { runDuebase } from "./duebase/program.ts";

process.exitCode = await runDuebase(process.argv.slice(2));
