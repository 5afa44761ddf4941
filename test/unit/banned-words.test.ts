import { expect, it } from "vitest";
import { findBannedWords } from "../../scripts/check/banned-words.ts";

const wordsIn = (text: string, path = "supabase/functions/example.ts") =>
  findBannedWords(path, text).map(({ word }) => word);

it.each([
  ["a verb for five things", "select billing_private.settle_purchase(1);", "settle_purchase"],
  ["the same in camelCase", "const isUnsettled = true;", "isUnsettled"],
  ["identity, said with the outbox's word", "link_by_claim_of_second(customer_claims)", "claim_of_"],
  ["owing an effect", "await oweReceipt(key);", "oweReceipt"],
  ["the same in SQL", "perform owe_email(1);", "owe_email"],
  ["poetry", "-- Nobody is canceled unheard.", "unheard"],
  ["a skipped step", "what was passed over", "passed over"],
  ["the same in a comment", "-- coalesced with a later one", "coalesced"],
  ["two subscriptions", "const twins = [];", "twins"],
  ["an end that was canceled", "it was called off", "called off"],
  ["an inversion", "who pays in the very second of the end", "very second"],
])("finds %s", (_what, text, word) => {
  expect(wordsIn(text)).toContain(word);
});

it.each([
  ["promises", "await Promise.allSettled(runs); await inbox.settled();"],
  ["public data", "outcome = 'settled_without_payment'; count(settledWithoutPayment)"],
  ["a worker's claim", "select * from billing.claim_outbox('worker'); status = 'claimed'"],
  ["claims of a token", "const claims = { sub };"],
  ["SQL's coalesce", "select coalesce(a, b)"],
  ["a pass over rows", "starts a pass over them"],
  ["owing money", "what the customer owes (in minor units)"],
  ["words that begin or end alike", "flaws of the lawn, entwined by twine"],
])("leaves %s alone", (_what, text) => {
  expect(wordsIn(text)).toEqual([]);
});

it("bans a word in the places where it means something else alone", () => {
  expect(wordsIn("the claim of a customer", "supabase/schemas/06_owners/010_owner_hints.sql")).toEqual([
    "claim",
  ]);
  expect(wordsIn("each look decides", "supabase/schemas/13_dunning/280_dunning_runs.sql")).toEqual([
    "each look",
  ]);
  expect(wordsIn("each look decides", "scripts/dev.ts")).toEqual([]);
});

it("reads names of files, and says where a word is and what to say", () => {
  expect(wordsIn("", "scripts/local/utils.ts")).toEqual(["utils"]);
  expect(findBannedWords("a.md", "first\nmourned\n")).toEqual([
    { path: "a.md", line: 2, word: "mourned", say: expect.stringContaining("dead-letter alert") },
  ]);
});
