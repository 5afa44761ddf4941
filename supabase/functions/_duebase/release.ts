import { errorResponse } from "./errors.ts";
import { RELEASE } from "./release.gen.ts";

/** The header that names the release on every answer of every function of ours. */
export const RELEASE_HEADER = "duebase-release";

type Handler = (request: Request) => Response | Promise<Response>;

/**
 * The same handler, whose every answer names the release, refusals and errors included: so that one can see from
 * outside whether a function answers as ours, and which release of it is deployed.
 */
export function namingRelease(handler: Handler): (request: Request) => Promise<Response> {
  return async (request) => {
    let response: Response;
    try {
      response = await handler(request);
    } catch (error) {
      // A handler answers its own errors. One that does not must not be answered by the runtime, without the header.
      response = errorResponse(error);
    }
    response.headers.set(RELEASE_HEADER, RELEASE);
    return response;
  };
}
