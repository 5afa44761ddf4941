import type { Suppression } from "resend";
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
    {
      method: "GET",
      path: "/suppressions",
      handle: ({ query }) => {
        const origin = query.get("origin");
        const wanted = suppressions.all().filter((entry) => origin === null || entry.origin === origin);
        return pageOf(wanted.reverse(), query);
      },
    },
    {
      method: "POST",
      path: "/suppressions",
      handle: ({ body }) => {
        const { object, id } = suppressions.add(addressOf(body), "manual", now());
        return { object, id };
      },
    },
    { method: "GET", path: "/suppressions/:id", handle: ({ path }) => find(path.id) },
    {
      method: "DELETE",
      path: "/suppressions/:id",
      handle: ({ path }) => {
        const found = find(path.id);
        suppressions.remove(found);
        return { object: found.object, id: found.id, deleted: true };
      },
    },
  ];
}
