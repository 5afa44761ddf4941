import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import type { FetchFile } from "../../../scripts/local/inbox/http/remote-files.ts";
import { NEWEST } from "../../support/old-shapes.ts";
import { CUSTOMER, DAY, HOUR, paidInvoice, START, ToldDatabase, told, unpaid } from "../dunning/told.ts";
import { hours, noonPlus, openPost, type Post } from "./post.ts";

const PDF = "https://pay.stripe.com/invoice/acct_Example/test_Told/pdf?s=ap";

/** What there is at Stripe: one file. */
const atStripe: FetchFile = async (url) => {
  if (url !== PDF) throw new Error("answered 404");
  return Buffer.from("%PDF-1.7 of the invoice");
};

describe.each([
  ["en", /Receipt from/, /has arrived|arrived/],
  ["de", /Zahlungsbeleg von/, /ist eingegangen/],
])("in the inbox, in %s", (language, receipt, recovered) => {
  const bill = unpaid({ invoice_pdf: PDF });
  let world: ToldDatabase;
  async function open(isAttached: boolean) {
    world = await ToldDatabase.open(told(), NEWEST, { fetchFile: atStripe });
    const { sql } = world.database;
    await sql`update billing.customers set preferred_locales = ${[language]} where id = ${CUSTOMER}`;
    await sql`update billing.settings set attach_invoice_pdf = ${isAttached} where id`;
  }
  async function pay(at: number) {
    await world.tell("invoice.paid", at, paidInvoice(bill, at), bill);
    await world.evaluate(at + HOUR);
    await world.sendMails(at + HOUR);
  }

  it("a receipt carries the invoice's PDF where settings ask for it", async () => {
    await open(true);
    await pay(START + HOUR);
    expect(world.received()).toMatchObject([
      { template: "payment-receipt", locale: language, files: { "EX-0007.pdf": "%PDF-1.7 of the invoice" } },
    ]);
    expect(world.received()[0]?.text).toMatch(receipt);
    await world.close();
  });

  it("so does the mail that a late payment came through, and no warning before it", async () => {
    await open(true);
    await world.fail(bill);
    await world.evaluate(START + 2 * HOUR);
    await world.sendMails(START + 2 * HOUR);
    await pay(START + 2 * DAY);
    const [warning, ...others] = world.received();
    expect(warning).toMatchObject({ template: "payment-failed-notice", files: {} });
    const mail = others.find(({ template }) => template === "payment-recovered");
    expect(mail).toMatchObject({ locale: language, files: { "EX-0007.pdf": "%PDF-1.7 of the invoice" } });
    expect(mail?.text).toMatch(recovered);
    await world.close();
  });

  it("no mail carries anything where they do not", async () => {
    await open(false);
    await pay(START + HOUR);
    expect(world.received()).toMatchObject([{ template: "payment-receipt", files: {} }]);
    await world.close();
  });
});

describe("a receipt with an attachment", () => {
  let post: Post;
  let fetched = 0;
  const fetchFile: FetchFile = (url) => {
    fetched++;
    return atStripe(url);
  };
  beforeAll(async () => {
    post = await openPost({ fetchFile });
  });
  beforeEach(async () => {
    await post.reset();
    await post.database.sql`update billing.settings set attach_invoice_pdf = true where id`;
    await post.database.sql`delete from billing.job_problems where true`;
    fetched = 0;
  });
  afterAll(() => post.close());

  const enqueueReceipt = (
    key: string,
    invoicePdf: string | null = PDF,
    count = 1,
    invoiceNumber = "EX-0001",
  ) =>
    post.enqueue(key, {
      template: "payment-receipt",
      props: {
        currency: "eur",
        invoiceNumber,
        paidAt: "2026-11-01T11:00:00Z",
        lines: [{ description: "Studio", amount: 4900 }],
        total: 4900,
        amountPaid: 4900,
        invoicePdf,
      },
      count,
    });
  const files = () =>
    post.inbox.ledger.mails.map(({ id }) =>
      post.inbox.enclosed(id)?.attachments.map(({ filename }) => filename),
    );
  const requests = () =>
    post.inbox.ledger
      .requestsWhere({ method: "POST" })
      .map(({ path, idempotencyKey, status }) => [path, idempotencyKey, status]);
  const refusals = () =>
    post.database.sql`
      select subject_id, detail ->> 'code' as code from billing.audit_events
      where action = 'email.attachment_refused' and subject_id like ${`${current}%`} order by id`;
  let current = "";

  it("is sent by itself, while the mails beside it go as a batch", async () => {
    await enqueueReceipt("with", PDF, 2);
    await enqueueReceipt("without", null, 3);
    await post.deliverAt(noonPlus(10));
    expect(requests().map(([path]) => path)).toEqual(["/emails", "/emails/batch", "/emails"]);
    expect(requests().map(([, , status]) => status)).toEqual([200, 200, 200]);
    expect((await post.states()).map(({ status, in_batch }) => `${status} ${in_batch}`)).toEqual([
      ...Array(2).fill("delivered false"),
      ...Array(3).fill("delivered true"),
    ]);
    expect(post.inbox.ledger.mails).toHaveLength(5);
    expect(
      await post.database.sql`select distinct attachment from billing.emails where attachment is not null`,
    ).toEqual([{ attachment: { filename: "EX-0001.pdf", path: PDF } }]);
  });

  it("goes without it, once and under a new key, where the file cannot be fetched", async () => {
    current = "expired";
    await enqueueReceipt("expired", `${PDF}&gone`);
    await post.deliverAt(noonPlus(10));
    expect(requests()).toEqual([
      ["/emails", "expired", 422],
      ["/emails", "expired:1", 200],
    ]);
    expect(post.inbox.ledger.mails).toHaveLength(1);
    expect(files()).toEqual([[]]);
    expect(await refusals()).toEqual([{ subject_id: "expired", code: "invalid_attachment" }]);
    await post.deliverAt(hours(2));
    expect(requests()).toHaveLength(2);
  });

  it("that is refused without it as well is dead, after two requests", async () => {
    current = "refused";
    await enqueueReceipt("refused");
    post.inbox.faults.add({
      times: 2,
      action: { kind: "error", status: 400, name: "validation_error", message: "Not like this." },
    });
    await post.deliverAt(noonPlus(10));
    expect(requests()).toEqual([
      ["/emails", "refused", 400],
      ["/emails", "refused:1", 400],
    ]);
    expect(await post.states()).toMatchObject([{ status: "dead", problem: "validation_error" }]);
    expect(await refusals()).toHaveLength(1);
  });

  it("keeps it through limits and a wrong key, which say nothing against it", async () => {
    await enqueueReceipt("limited");
    post.inbox.faults.add({ action: { kind: "error", status: 429, name: "rate_limit_exceeded" } });
    post.inbox.faults.add({ action: { kind: "error", status: 403, name: "invalid_api_key" } });
    for (const hour of [1, 3, 6]) await post.deliverAt(hours(hour));
    expect(requests().map(([, key, status]) => [key, status])).toEqual([
      ["limited", 429],
      ["limited", 403],
      ["limited", 200],
    ]);
    expect(files()).toEqual([["EX-0001.pdf"]]);
  });

  it("is sent once where the answer was lost, with the same bytes even if settings have changed", async () => {
    await enqueueReceipt("lost");
    post.inbox.faults.add({ action: { kind: "reset-after-effect" } });
    await post.deliverAt(noonPlus(10));
    await post.database.sql`update billing.settings set attach_invoice_pdf = false where id`;
    await post.deliverAt(hours(2));
    expect(requests()).toEqual([
      ["/emails", "lost", null],
      ["/emails", "lost", 200],
    ]);
    expect(post.inbox.ledger.mails).toHaveLength(1);
    expect(fetched).toBe(1);
  });

  it("is not sent under another key once an attempt of unknown outcome may have sent it", async () => {
    current = "unknown";
    await enqueueReceipt("unknown");
    post.inbox.faults.add({ action: { kind: "reset-after-effect" } });
    post.inbox.faults.add({ action: { kind: "error", status: 422, name: "invalid_attachment" } });
    await post.deliverAt(noonPlus(10));
    await post.deliverAt(hours(2));
    await post.deliverAt(hours(4));
    expect(post.inbox.ledger.mails).toHaveLength(1);
    expect(new Set(requests().map(([, key]) => key))).toEqual(new Set(["unknown"]));
    expect(await post.states()).toMatchObject([{ status: "dead" }]);
    expect(await refusals()).toEqual([]);
  });

  it.each([
    ["no address", null],
    ["another's address", "https://stripe.com.example.com/invoice.pdf"],
    ["an address that only looks like Stripe's", "https://notstripe.com/invoice.pdf"],
    ["Stripe's name as a user", "https://pay.stripe.com@example.com/invoice.pdf"],
    ["an address without encryption", "http://pay.stripe.com/invoice.pdf"],
  ])("is none where the invoice's PDF has %s", async (_what, address) => {
    await enqueueReceipt("elsewhere", address?.includes("@") ? null : address);
    const [attached] = await post.database.sql`
      select billing_private.is_stripe_page(${address}, true) as live, billing_private.is_stripe_page(${address}, false) as test`;
    expect(attached).toEqual({ live: false, test: false });
    await post.deliverAt(noonPlus(10));
    expect(files()).toEqual([[]]);
    expect(fetched).toBe(0);
  });

  it("has the local Stripe's PDF in test mode only", async () => {
    const local = "http://127.0.0.1:54321/i/in_1/secret/pdf";
    const [attached] = await post.database.sql`
      select billing_private.is_stripe_page(${local}, true) as live, billing_private.is_stripe_page(${local}, false) as test`;
    expect(attached).toEqual({ live: false, test: true });
  });

  it.each([
    ["EX-0001", "EX-0001.pdf"],
    ["RE 2026/17", "RE-2026-17.pdf"],
    ["../../etc", "etc.pdf"],
    ["发票", "invoice.pdf"],
  ])("is named for its invoice: %s as %s", async (number, name) => {
    await enqueueReceipt("named", PDF, 1, number);
    await post.deliverAt(noonPlus(10));
    expect(files()).toEqual([[name]]);
  });
});
