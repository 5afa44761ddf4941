import type Stripe from "stripe";
import { afterAll, beforeAll, expect, test } from "vitest";
import {
  allowAppeal,
  appealDispute,
  decideDispute,
  disputeCharge,
} from "../../scripts/local/stripe/buyer.ts";
import { errorOf, type Harness, startHarness } from "./support/harness.ts";
import { typesAbout } from "./support/subscription.ts";

let harness: Harness;
let stripe: Stripe;

beforeAll(async () => {
  harness = await startHarness();
  stripe = harness.stripe;
});
afterAll(() => harness.close());

async function disputed(kind: Parameters<typeof disputeCharge>[2]): Promise<Stripe.Dispute> {
  const intent = await stripe.paymentIntents.create({
    amount: 1500,
    currency: "usd",
    payment_method: "pm_card_visa",
    confirm: true,
  });
  return disputeCharge(stripe, String(intent.latest_charge), kind);
}

/** What a dispute did to the balance, movement by movement, without fees. */
async function movements(id: string): Promise<number[]> {
  return (await stripe.disputes.retrieve(id)).balance_transactions.map((it) => it.amount);
}

async function appealed(): Promise<string> {
  const { id } = await disputed("fraudulent");
  await decideDispute(stripe, id, "lost");
  await allowAppeal(stripe, id);
  return id;
}

test("a lost dispute can be appealed, and the money stays away until that is won", async () => {
  const id = await appealed();
  expect(await stripe.disputes.retrieve(id)).toMatchObject({ status: "appeal_needs_response" });
  expect(await appealDispute(stripe, id)).toMatchObject({
    status: "appeal_under_review",
    evidence: { appeal: { card: { supporting_files: ["file_Example"] } } },
  });
  expect(await movements(id)).toEqual([-1500]);
  await decideDispute(stripe, id, "won");
  expect(await stripe.disputes.retrieve(id)).toMatchObject({ status: "won" });
  expect(await movements(id)).toEqual([-1500, 1500]);
  expect(typesAbout(harness, id)).toEqual([
    "charge.dispute.created",
    "charge.dispute.funds_withdrawn",
    "charge.dispute.closed",
    "charge.dispute.updated",
    "charge.dispute.updated",
    "charge.dispute.closed",
    "charge.dispute.funds_reinstated",
  ]);
  const balance = await stripe.balanceTransactions.list({ source: id });
  expect(balance.data.map((it) => [it.type, it.amount, it.fee])).toEqual([
    ["adjustment", 1500, 0],
    ["adjustment", -1500, 1500],
  ]);
});

test("an appeal that is lost changes nothing more about the money", async () => {
  const id = await appealed();
  await appealDispute(stripe, id);
  await decideDispute(stripe, id, "lost");
  expect(await stripe.disputes.retrieve(id)).toMatchObject({ status: "lost" });
  expect(await movements(id)).toEqual([-1500]);
});

test("an appeal takes its own evidence only, and nothing else takes an appeal's", async () => {
  const id = await appealed();
  const other = stripe.disputes.update(id, { evidence: { uncategorized_text: "winning_evidence" } });
  expect(await errorOf(other)).toMatchObject({ statusCode: 400 });
  const open = await disputed("product_not_received");
  expect(await errorOf(appealDispute(stripe, open.id))).toMatchObject({ statusCode: 400 });
  await expect(allowAppeal(stripe, open.id)).rejects.toMatchObject({ statusCode: 400 });
});

test("a prevented dispute is closed from the start, with the money gone or not", async () => {
  const gone = await disputed("prevented");
  expect(gone.status).toBe("prevented");
  expect(await movements(gone.id)).toEqual([-1500]);
  expect(typesAbout(harness, gone.id)).toEqual(["charge.dispute.created", "charge.dispute.funds_withdrawn"]);
  expect(await errorOf(stripe.disputes.close(gone.id))).toMatchObject({ statusCode: 400 });
  const kept = await disputed("prevented_without_funds");
  expect(kept.status).toBe("prevented");
  expect(await movements(kept.id)).toEqual([]);
  expect(typesAbout(harness, kept.id)).toEqual(["charge.dispute.created"]);
});
