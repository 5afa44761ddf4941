import type { ListEmail } from "resend";
import { get, post } from "../../service/route.ts";
import type { StoredEmail } from "../core/email.ts";
import type { PostOffice } from "../core/post-office.ts";
import { invalidField, notFound, ResendError } from "./errors.ts";
import { pageOf } from "./page.ts";
import { type EmailPayload, readEmail, readJson } from "./payload.ts";
import { type FetchFile, withFiles } from "./remote-files.ts";
import type { Handler, Route } from "./route.ts";

const largestBatch = 100;
const uuid = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i;

/** A list shows neither bodies nor tags: whoever looks for a tag reads each email. */
function listed(email: StoredEmail): ListEmail {
  const { html: _html, text: _text, tags: _tags, object: _object, ...rest } = email.shown;
  return rest;
}

function send(office: PostOffice, fetchFile: FetchFile): Handler {
  return async (request) => {
    const payload = await withFiles(readEmail(readJson(request.body)), fetchFile);
    request.ignore(payload.ignored);
    const posting = { request: request.id, idempotencyKey: request.idempotencyKey, batch: false };
    const [email] = office.accept([payload], posting);
    return { id: email?.shown.id };
  };
}

/** One email of a batch, or what is wrong with it. */
function readBatched(value: unknown): EmailPayload | ResendError {
  try {
    const payload = readEmail(value);
    if (payload.attachments.length > 0) throw invalidField("A batch takes no `attachments`.");
    return payload;
  } catch (error) {
    if (error instanceof ResendError) return error;
    throw error;
  }
}

/** Strict, the default: one bad email and none goes out. Permissive: the good ones do, the bad ones are listed. */
function sendBatch(office: PostOffice): Handler {
  return (request) => {
    const batch = readJson(request.body);
    if (!Array.isArray(batch)) throw invalidField("A batch must be a JSON array.");
    if (batch.length < 1 || batch.length > largestBatch) {
      throw invalidField(`A batch has 1 to ${largestBatch} emails, not ${batch.length}.`);
    }
    const read = batch.map(readBatched);
    const good = read.flatMap((email) => (email instanceof ResendError ? [] : [email]));
    const isPermissive = request.header("x-batch-validation") === "permissive";
    const errors = read.flatMap((email, index) =>
      email instanceof ResendError ? [{ index, message: email.message, error: email }] : [],
    );
    const [first] = errors;
    if (first && !isPermissive) throw first.error;
    request.ignore([...new Set(good.flatMap((email) => email.ignored))]);
    const posting = { request: request.id, idempotencyKey: request.idempotencyKey, batch: true };
    const data = office.accept(good, posting).map((email) => ({ id: email.shown.id }));
    if (!isPermissive) return { data };
    return { data, errors: errors.map(({ index, message }) => ({ index, message })) };
  };
}

/** `/emails` and what is under it, as far as the SDK's `emails` and `batch` go. */
export function emailRoutes(office: PostOffice, fetchFile: FetchFile): Route[] {
  return [
    post("/emails", send(office, fetchFile)),
    post("/emails/batch", sendBatch(office)),
    get("/emails", ({ query }) => pageOf(office.all().map(listed).reverse(), query)),
    get("/emails/:id", ({ path: { id = "" } }) => {
      if (!uuid.test(id)) throw invalidField("The `id` must be a valid UUID.", "invalid_parameter");
      const email = office.get(id);
      if (!email) throw notFound("Email");
      return email.shown;
    }),
  ];
}
