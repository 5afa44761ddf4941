import type { ApiError } from "./api-error.ts";

/** Which part of a list is asked for: after an entry, before one, or (both null) its beginning. */
export interface Cursor {
  after: string | null;
  before: string | null;
  limit: number;
}

/**
 * One page out of a whole list.
 *
 * @param all newest first, as lists are shown
 * @param missing what is said of a cursor that names nothing in the list
 * @throws {ApiError} `missing`
 */
export function pageAt<T extends { id: string }>(
  all: T[],
  { after, before, limit }: Cursor,
  missing: (cursor: string) => ApiError,
): { data: T[]; has_more: boolean } {
  const positionOf = (cursor: string): number => {
    const position = all.findIndex(({ id }) => id === cursor);
    if (position === -1) throw missing(cursor);
    return position;
  };
  if (before !== null) {
    const end = positionOf(before);
    const start = Math.max(0, end - limit);
    return { data: all.slice(start, end), has_more: start > 0 };
  }
  const start = after === null ? 0 : positionOf(after) + 1;
  return { data: all.slice(start, start + limit), has_more: start + limit < all.length };
}
