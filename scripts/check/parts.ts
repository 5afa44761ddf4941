import { existsSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { projectRoot } from "../local/project.ts";
import { readSchemas } from "../local/schemas.ts";

/** One program that has to agree before a change is done. */
export interface Part {
  /** What is promised when it passes. */
  promise: string;
  program: string;
  args: string[];
  /** What to run when it fails, where one command mends it. */
  mend?: string;
}

const functions = join("supabase", "functions");

/** Every part of `npm run check`, the quick ones first. */
export function parts(): Part[] {
  return [
    {
      promise: "format and lint",
      program: "biome",
      args: ["ci", "--colors=off", "."],
      mend: "npx biome check --write",
    },
    {
      promise: "one word for one thing",
      program: "tsx",
      args: [join("scripts", "check", "words.ts")],
    },
    { promise: "types", program: "tsc", args: ["--noEmit", "--pretty", "false", "-p", "tsconfig.json"] },
    {
      promise: "no file imports itself by way of others",
      program: "tsx",
      args: [join("scripts", "check", "import-circles.ts")],
    },
    ...functionFolders().map((folder) => ({
      promise: `types of function ${folder}, under Deno`,
      program: "deno",
      args: ["check", "--quiet", "--config", at(folder, "deno.json"), at(folder, "index.ts")],
    })),
    {
      promise: "the migration is that of the schemas",
      program: "tsx",
      args: [join("scripts", "migration.ts"), "--check"],
      mend: "npm run migration",
    },
    {
      promise: "the schemas are safe to apply",
      program: "squawk",
      args: ["--config", join("scripts", "check", "squawk.toml"), ...schemaFiles()],
    },
    {
      promise: "database types are those of the migrations",
      program: "tsx",
      args: [join("scripts", "types.ts"), "--check"],
      mend: "npm run types",
    },
    ...generatedEmails(),
  ];
}

function at(folder: string, file: string): string {
  return join(functions, folder, file);
}

function functionFolders(): string[] {
  return readdirSync(join(projectRoot, functions)).filter((folder) =>
    existsSync(join(projectRoot, at(folder, "index.ts"))),
  );
}

function schemaFiles(): string[] {
  return readSchemas().map(({ path }) => join("supabase", "schemas", path));
}

function generatedEmails(): Part[] {
  const script = join("scripts", "build-emails.ts");
  if (!existsSync(join(projectRoot, script))) return [];
  return [
    {
      promise: "built emails are those of the templates",
      program: "tsx",
      args: [script, "--check"],
      mend: "npx tsx scripts/build-emails.ts",
    },
  ];
}
