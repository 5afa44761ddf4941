import { expect, it } from "vitest";
import type { SimulatedCustomer } from "../support/dunning-simulation/customer.ts";
import {
  holdsAreTrue,
  newCardsAreCharged,
  paidIsResumed,
  recoveredIsMoney,
  upgradesAreNoDebt,
} from "../support/dunning-simulation/debt-invariants.ts";
import type { Evidence, Invariant } from "../support/dunning-simulation/evidence.ts";
import { endsAgree } from "../support/dunning-simulation/ledger-invariants.ts";

// The months of a run seldom have these breaches. Here each invariant has to find its own.

const day = (number: number) => new Date(Date.UTC(2026, 2, number, 12));
const seconds = (number: number) => day(number).getTime() / 1000;

/** The evidence of a world in which a customer's case of one invoice was ended on the twelfth. */
function evidenceOf(
  parts: {
    customer?: Partial<SimulatedCustomer>;
    found?: Record<string, unknown>;
    /** Null: Stripe ended nothing. */
    end?: Record<string, unknown> | null;
    invoice?: Record<string, unknown>;
    subscription?: Record<string, unknown>;
    /** The status of the subscription in Stripe's event of the tenth. */
    told?: string;
  } = {},
): Evidence {
  const customer = {
    id: "cus_Example",
    plan: { pays: "pm_card_visa" },
    addresses: ["person@example.com"],
    given: [],
    upgrades: new Set(),
    log: [],
    lost: 0,
    isDeleted: false,
    ...parts.customer,
  };
  const end = {
    kind: "cancel",
    object: "sub_Example",
    customer: "cus_Example",
    caseId: 1,
    at: day(12),
    unpaid: ["in_Example"],
    ...parts.end,
  };
  return {
    simulation: {
      settings: { faults: new Set() },
      customers: [customer],
      ends: parts.end === null ? [] : [end],
      world: {
        now: day(28),
        local: {
          events: {
            all: () => [
              {
                type: "customer.subscription.updated",
                created: seconds(10),
                data: { object: { id: "sub_Example", status: parts.told ?? "past_due" } },
              },
            ],
          },
        },
      },
    },
    cases: [
      {
        id: 1,
        customer: "cus_Example",
        subscription: "sub_Example",
        status: "closed",
        outcome: "ended",
        holds: [],
        amount_recovered: 0,
        opened_at: day(2),
        ...parts.found,
      },
    ],
    dunningActions: [],
    caseInvoices: new Map([[1, ["in_Example"]]]),
    resumesOnPayment: new Set(),
    atStripe: {
      subscriptions: [
        {
          id: "sub_Example",
          customer: "cus_Example",
          status: "canceled",
          pause_collection: null,
          ...parts.subscription,
        },
      ],
      invoices: [
        {
          id: "in_Example",
          customer: "cus_Example",
          status: "open",
          created: seconds(1),
          total: 2000,
          pre_payment_credit_notes_amount: 0,
          starting_balance: 0,
          ending_balance: 0,
          status_transitions: {},
          parent: { subscription_details: { subscription: "sub_Example" } },
          ...parts.invoice,
        },
      ],
    },
    customerOf: () => customer,
  } as unknown as Evidence;
}

const given = (number: number, works = true) => [
  { at: day(number), method: "pm_Example", works, brokenAt: null },
];

const BREACHES: [what: string, invariant: Invariant, breach: Evidence, kept: Evidence][] = [
  [
    "an end for nothing but a declined upgrade",
    upgradesAreNoDebt,
    evidenceOf({ customer: { upgrades: new Set(["in_Example"]) } }),
    evidenceOf({ customer: { upgrades: new Set(["in_Other"]) } }),
  ],
  [
    "an end days after a card was given that works",
    newCardsAreCharged,
    evidenceOf({ customer: { given: given(5) } }),
    evidenceOf({ customer: { given: given(5, false) } }),
  ],
  [
    "a pause that outlives its debt",
    paidIsResumed,
    evidenceOf({
      end: { kind: "pause" },
      subscription: { status: "paused" },
      invoice: { status: "paid", status_transitions: { paid_at: seconds(20) } },
    }),
    evidenceOf({ end: { kind: "pause" }, subscription: { status: "paused" } }),
  ],
  [
    "a pause that never was, where Stripe had not paused it before",
    endsAgree,
    evidenceOf({ end: null, found: { end_action: "pause", closed_at: day(12) } }),
    evidenceOf({ end: null, found: { end_action: "pause", closed_at: day(12) }, told: "paused" }),
  ],
  [
    "a credit note counted as money",
    recoveredIsMoney,
    evidenceOf({
      found: { outcome: "recovered", amount_recovered: 2000 },
      invoice: { status: "paid", pre_payment_credit_notes_amount: 1500 },
    }),
    evidenceOf({
      found: { outcome: "recovered", amount_recovered: 500 },
      invoice: { status: "paid", pre_payment_credit_notes_amount: 1500 },
    }),
  ],
  [
    "a recovery of which nothing was paid",
    recoveredIsMoney,
    evidenceOf({
      found: { outcome: "recovered" },
      invoice: { status: "paid", pre_payment_credit_notes_amount: 2000 },
    }),
    evidenceOf({
      found: { outcome: "settled_without_payment" },
      invoice: { status: "paid", pre_payment_credit_notes_amount: 2000 },
    }),
  ],
  [
    "a case held by an address that was corrected",
    holdsAreTrue,
    evidenceOf({
      found: { status: "open", holds: ["undeliverable_address"] },
      customer: { addresses: ["bounced+1@example.com", "moved+2@example.com"] },
    }),
    evidenceOf({
      found: { status: "open", holds: ["undeliverable_address"] },
      customer: { addresses: ["person@example.com", "bounced+1@example.com"] },
    }),
  ],
];

it.each(BREACHES)("sees %s", (_what, invariant, breach, kept) => {
  expect(invariant(breach)).toHaveLength(1);
  expect(invariant(kept)).toEqual([]);
});
