import type { Suppression } from "resend";
import { del, get, post } from "../../service/route.ts";
import { addressIn } from "../core/addresses.ts";
import type { Suppressions } from "../core/suppressions.ts";
import { invalidField, missingField, notFound } from "./errors.ts";
import { pageOf } from "./page.ts";
import { readJson } from "./payload.ts";
import type { Route } from "./route.ts";

function addressOf(body: string): string {
  const fields = readJson(body);
  const email = typeof fields === "object" && fields !== null && "email" in fields ? fields.email : undefined;
  if (typeof email !== "string") throw missingField("`email`");
  if (addressIn(email) === undefined) throw invalidField("Invalid `email` field.");
  return email;
}

/** `/suppressions`, so that an address that bounced can be let in again, as at Resend. */
export function suppressionRoutes(suppressions: Suppressions, now: () => Date): Route[] {
  const find = (given: string | undefined): Suppression => {
    const found = suppressions.find(given ?? "");
    if (!found) throw notFound("Suppression");
    return found;
  };
  return [
    get("/suppressions", ({ query }) => {
      const origin = query.get("origin");
      const wanted = suppressions.all().filter((entry) => origin === null || entry.origin === origin);
      return pageOf(wanted.reverse(), query);
    }),
    post("/suppressions", ({ body }) => {
      const { object, id } = suppressions.add(addressOf(body), "manual", now());
      return { object, id };
    }),
    get("/suppressions/:id", ({ path }) => find(path.id)),
    del("/suppressions/:id", ({ path }) => {
      const found = find(path.id);
      suppressions.remove(found);
      return { object: found.object, id: found.id, deleted: true };
    }),
  ];
}
