import type { Route as AnyRoute } from "../../service/route.ts";

/** A request, once it has been let in. */
export interface ApiRequest {
  /** Names it in the ledger. */
  id: string;
  path: Record<string, string>;
  query: URLSearchParams;
  body: string;
  idempotencyKey: string | null;
  header(name: string): string | undefined;
  /** Notes fields of the payload that nobody reads. */
  ignore(fields: string[]): void;
}

/** Does what a request asks for and returns what the answer shows; throws a `ResendError` where it cannot. */
export type Handler = (request: ApiRequest) => object | Promise<object>;

export type Route = AnyRoute<Handler>;
