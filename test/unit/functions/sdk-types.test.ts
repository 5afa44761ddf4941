import type { CreateBatchSuccessResponse, CreateEmailResponseSuccess, ErrorResponse } from "resend";
import type Stripe from "stripe";
import { describe, expect, expectTypeOf, it } from "vitest";
import { connectResend, type Mail, type SendResult } from "../../../supabase/functions/_duebase/resend.ts";
import { connectStripe } from "../../../supabase/functions/_duebase/stripe.ts";
import type { PortalFlow } from "../../../supabase/functions/duebase-portal/handler.ts";

// The functions import neither SDK, not even its types, as a deploy would carry the whole package. So what they read
// and send is held here, by tsc, against the types that Stripe and Resend publish.

describe("what the functions know of Stripe", () => {
  it("has the portal's tasks by Stripe's names", () => {
    type Task = Stripe.BillingPortal.SessionCreateParams.FlowData.Type;
    expectTypeOf<PortalFlow>().toExtend<Task>();
  });

  it.each<[string, Partial<Stripe.StripeRawError>, object]>([
    [
      "its code and message",
      { type: "invalid_request_error", code: "resource_missing", message: "No such customer" },
      { code: "resource_missing", message: "No such customer" },
    ],
    ["its type where there is no code", { type: "rate_limit_error" }, { code: "rate_limit_error" }],
  ])("has of an error %s", async (_what, error, read) => {
    const callStripe = connectStripe({
      secretKey: "sk_test_example",
      fetch: async () => Response.json({ error }, { status: 400 }),
    });
    await expect(callStripe({ method: "GET", path: "/v1/customers/cus_1" })).rejects.toMatchObject(read);
  });
});

describe("what the functions know of Resend", () => {
  it("has the id of a mail", async () => {
    const answer: CreateEmailResponseSuccess = { id: "re_1" };
    expect(await send(1, answer)).toEqual({ is: "sent", mails: [{ id: "re_1" }] });
  });

  it("has what became of each mail of a batch", async () => {
    const answer: CreateBatchSuccessResponse<{ batchValidation: "permissive" }> = {
      data: [{ id: "re_1" }],
      errors: [{ index: 1, message: "Invalid `to` field" }],
    };
    expect(await send(2, answer)).toEqual({
      is: "sent",
      mails: [{ id: "re_1" }, { refusal: { code: "validation_error", message: "Invalid `to` field" } }],
    });
  });

  it("has the name and message of an error", async () => {
    const answer: ErrorResponse = {
      name: "validation_error",
      message: "Invalid `to` field",
      statusCode: 422,
    };
    expect(await send(1, answer, 422)).toMatchObject({
      is: "refused",
      code: "validation_error",
      message: "Invalid `to` field",
    });
  });
});

function send(count: number, answer: object, status = 200): Promise<SendResult> {
  const mail: Mail = {
    from: "billing@example.com",
    to: "ada@example.com",
    replyTo: null,
    subject: "Receipt",
    html: "<p>Thank you</p>",
    text: "Thank you",
    headers: {},
    tags: {},
  };
  const sendMails = connectResend({
    apiKey: "re_example",
    fetch: async () => Response.json(answer, { status }),
  });
  return sendMails(Array(count).fill(mail), "key");
}
