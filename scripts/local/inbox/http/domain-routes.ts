import { randomUUID } from "node:crypto";
import type { Domain } from "resend";
import { get } from "../../service/route.ts";
import { notFound } from "./errors.ts";
import { pageOf } from "./page.ts";
import type { Route } from "./route.ts";

/** A sender domain, and how far its verification is. */
export type LocalDomain = Pick<Domain, "name" | "status">;

/** `GET /domains` (https://resend.com/docs/api-reference/domains/list-domains). */
export function domainRoutes(domains: LocalDomain[], now: () => Date): Route[] {
  const created_at = now().toISOString();
  const ids = new Map<string, string>();
  const shown = ({ name, status }: LocalDomain): Domain => {
    const id = ids.get(name) ?? randomUUID();
    ids.set(name, id);
    const capabilities = { sending: "enabled", receiving: "disabled" } as const;
    return { id, name, status, created_at, region: "us-east-1", capabilities };
  };
  return [
    get("/domains", ({ query }) => pageOf([...domains].reverse().map(shown), query)),
    get("/domains/:id", ({ path }) => {
      const found = domains.map(shown).find(({ id }) => id === path.id);
      if (!found) throw notFound("Domain");
      return { object: "domain", ...found, records: [] };
    }),
  ];
}
