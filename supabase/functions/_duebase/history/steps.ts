import { StripeCallError } from "../errors.ts";
import {
  BACKFILL_LISTS,
  completeItems,
  cursorAfter,
  type ListStep,
  PAGE_SIZE,
  readListPage,
  unfold,
} from "./lists.ts";
import type { StripeObject, StripeReader } from "./reader.ts";
import type { HistoryStore, RunState, StepState } from "./runs.ts";

/** What a step works with. */
export type StepParts = {
  store: HistoryStore;
  reader: StripeReader;
  run: RunState;
  /** Told after each page, with how many objects it had. */
  onPage?: (step: string, objects: number) => void;
};

/** One step of a run: reads and applies page by page until the list is at its end. */
export type RunStep = (parts: StepParts, state: StepState) => Promise<void>;

const secondsOf = (time: string): number => Math.floor(Date.parse(time) / 1000);

/** A list of objects that are applied as they were read. */
function listStep(list: ListStep): RunStep {
  return async ({ store, reader, run, onPage }, state) => {
    const since = run.reads_since === null ? undefined : secondsOf(run.reads_since);
    let cursor = state.cursor;
    for (let isLast = false; !isLast; ) {
      const page = await readListPage(reader, list, cursor, since);
      for (const object of page.data) {
        if (object.object === "subscription") await completeItems(reader, object);
      }
      const last = page.data.at(-1);
      isLast = !page.hasMore || last === undefined;
      cursor = last === undefined ? cursor : cursorAfter(last);
      await store.apply(list.step, {
        objects: page.data.flatMap(unfold),
        readAt: page.readAt,
        cursor: cursor ?? undefined,
        isLast,
        calls: reader.takeCalls(),
        pages: 1,
      });
      onPage?.(list.step, page.data.length);
    }
  };
}

/** Ids that the database names, one page of them after the other, each read by itself. */
function idsStep(
  step: string,
  ids: (store: HistoryStore, after: string) => Promise<string[]>,
  read: (parts: StepParts, id: string) => Promise<{ object: StripeObject; readAt: string } | undefined>,
): RunStep {
  return async (parts, state) => {
    const { store, reader, onPage } = parts;
    let after = state.cursor ?? "";
    for (;;) {
      const page = await ids(store, after);
      for (const id of page) {
        const found = await read(parts, id);
        await store.apply(step, {
          objects: found === undefined ? [] : [found.object],
          readAt: found?.readAt,
          cursor: id,
          calls: reader.takeCalls(),
          pages: 1,
        });
        onPage?.(step, 1);
        after = id;
      }
      if (page.length < PAGE_SIZE) break;
    }
    await store.apply(step, { objects: [], isLast: true, calls: reader.takeCalls(), pages: 0 });
  };
}

/** What each customer is entitled to at Stripe, as the event about it would say it. */
async function readEntitlements(
  { reader, run }: StepParts,
  customer: string,
): Promise<{ object: StripeObject; readAt: string }> {
  const data: StripeObject[] = [];
  let readAt: string | undefined;
  for (let hasMore = true; hasMore; ) {
    const after = data.at(-1)?.id;
    const page = await reader.page("/v1/entitlements/active_entitlements", {
      customer,
      limit: String(PAGE_SIZE),
      ...(after === undefined ? {} : { starting_after: after }),
    });
    data.push(...page.data);
    hasMore = page.hasMore && page.data.length > 0;
    // The whole is as old as its first part.
    readAt ??= page.readAt;
  }
  const object = {
    id: `${customer}/entitlements`,
    object: "entitlements.active_entitlement_summary",
    customer,
    livemode: run.livemode,
    entitlements: { object: "list", data, has_more: false },
  };
  return { object, readAt: readAt ?? new Date().toISOString() };
}

const everyCustomersEntitlements = idsStep(
  "entitlements",
  (store, after) => store.ask<string[]>("customers_to_entitle", { p_after: after, p_limit: PAGE_SIZE }),
  readEntitlements,
);

const entitlements: RunStep = async (parts, state) => {
  const { store, reader } = parts;
  if (state.cursor === null) {
    // An account without a feature has no entitlements: most have none.
    const features = await reader.page("/v1/entitlements/features", { limit: "1" });
    if (features.data.length === 0) {
      await store.apply("entitlements", { objects: [], isLast: true, calls: reader.takeCalls(), pages: 1 });
      return;
    }
  }
  await everyCustomersEntitlements(parts, state);
};

const otherCustomers = idsStep(
  "other_customers",
  (store, after) => store.ask<string[]>("unread_customers", { p_after: after, p_limit: PAGE_SIZE }),
  ({ reader }, id) => readSingly(reader, `/v1/customers/${encodeURIComponent(id)}`),
);

/** One object, or undefined where Stripe does not find it. */
export async function readSingly(
  reader: StripeReader,
  path: string,
): Promise<{ object: StripeObject; readAt: string } | undefined> {
  try {
    const { object, asOf } = await reader.read(path);
    return { object: object as StripeObject, readAt: new Date(asOf).toISOString() };
  } catch (error) {
    if (error instanceof StripeCallError && error.status === 404) return undefined;
    throw error;
  }
}

/**
 * Of the events since the run's events_from, those that did not arrive and that a handler takes, by the door that every
 * event takes. Others are no webhook of ours: no endpoint has to send them.
 */
const events: RunStep = async ({ store, reader, run, onPage }, state) => {
  const list: ListStep = {
    step: "events",
    path: "/v1/events",
    params: {
      "created[gte]": String(secondsOf(run.events_from)),
      // What is younger may be on its way.
      ...(run.kind === "events" ? { "created[lte]": String(secondsOf(run.started_at) - GRACE_SECONDS) } : {}),
    },
  };
  let cursor = state.cursor;
  for (let isLast = false; !isLast; ) {
    const page = await readListPage(reader, list, cursor);
    const unknown = new Set(
      await store.ask<string[]>("unknown_events", {
        p_ids: page.data.map(({ id }) => id),
        p_types: page.data.map(({ type }) => type),
      }),
    );
    const found = await store.receive(page.data.filter(({ id }) => unknown.has(id)).reverse());
    const last = page.data.at(-1);
    isLast = !page.hasMore || last === undefined;
    cursor = last === undefined ? cursor : cursorAfter(last);
    await store.apply("events", {
      objects: [],
      cursor: cursor ?? undefined,
      isLast,
      calls: reader.takeCalls(),
      pages: 1,
      seen: page.data.length,
      found,
    });
    onPage?.("events", page.data.length);
  }
};

/** How long an event may be on its way before it counts as missed. */
export const GRACE_SECONDS = 300;

/** What is stored as running or open and was not in Stripe's list: each is read by itself. */
function othersStep(step: string, object: "subscription" | "invoice", path: string): RunStep {
  return idsStep(
    step,
    (store, after) =>
      store.ask<string[]>("uncompared_objects", {
        p_run_id: store.runId,
        p_object: object,
        p_after: after,
        p_limit: PAGE_SIZE,
      }),
    async ({ reader, store }, id) => {
      const found = await readSingly(reader, `${path}/${encodeURIComponent(id)}`);
      if (found === undefined) await store.recordNotFound(object, id);
      else if (object === "subscription") await completeItems(reader, found.object);
      return found;
    },
  );
}

/** What a comparison reads: what runs and what is owed, in Stripe's eyes and in ours. */
export const COMPARISON_STEPS = ["subscriptions", "other_subscriptions", "open_invoices", "other_invoices"];

const BACKFILL: Record<string, RunStep> = {
  ...Object.fromEntries(BACKFILL_LISTS.map((list) => [list.step, listStep(list)])),
  entitlements,
  other_customers: otherCustomers,
  events,
};

const COMPARISON: Record<string, RunStep> = {
  subscriptions: listStep({ step: "subscriptions", path: "/v1/subscriptions" }),
  other_subscriptions: othersStep("other_subscriptions", "subscription", "/v1/subscriptions"),
  open_invoices: listStep({ step: "open_invoices", path: "/v1/invoices", params: { status: "open" } }),
  other_invoices: othersStep("other_invoices", "invoice", "/v1/invoices"),
};

/**
 * Makes a step of a run from where it is.
 *
 * @throws Error for a step that nobody knows, as a run of another release may have
 */
export async function runStep(parts: StepParts, state: StepState): Promise<void> {
  const steps: Record<string, RunStep> = parts.run.kind === "comparison" ? COMPARISON : BACKFILL;
  const step = steps[state.step];
  if (step === undefined) throw new Error(`there is no step ${state.step} in a ${parts.run.kind}`);
  await step(parts, state);
}
