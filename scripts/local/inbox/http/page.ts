import { pageAt } from "../../service/page.ts";
import { invalidField } from "./errors.ts";

const defaultLimit = 20;
const largestLimit = 100;

/** A list as Resend gives it, newest first, with cursors (https://resend.com/docs/api-reference/pagination). */
export interface Page<T> {
  object: "list";
  has_more: boolean;
  data: T[];
}

function limitOf(query: URLSearchParams): number {
  const given = query.get("limit");
  if (given === null) return defaultLimit;
  const limit = Number(given);
  if (Number.isInteger(limit) && limit >= 1 && limit <= largestLimit) return limit;
  throw invalidField(`The \`limit\` must be a number from 1 to ${largestLimit}, not '${given}'.`);
}

/**
 * The part of a list that a query asks for.
 *
 * @param newestFirst the whole list
 * @throws {ResendError} 422 for a limit out of range, both cursors at once, or a cursor that names nothing
 */
export function pageOf<T extends { id: string }>(newestFirst: T[], query: URLSearchParams): Page<T> {
  const limit = limitOf(query);
  const [after, before] = [query.get("after"), query.get("before")];
  if (after !== null && before !== null) {
    throw invalidField("`after` and `before` exclude each other.");
  }
  const page = pageAt(newestFirst, { after, before, limit }, (cursor) =>
    invalidField(`There is nothing with the id '${cursor}' in this list.`, "invalid_parameter"),
  );
  return { object: "list", ...page };
}
