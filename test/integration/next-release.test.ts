import { createHmac } from "node:crypto";
import { afterAll, beforeAll, beforeEach, expect, test } from "vitest";
import { upgradeMigration } from "../../scripts/duebase/upgrade/migration.ts";
import { release } from "../../scripts/local/release.ts";
import { createSignatureVerifier } from "../../supabase/functions/_duebase/stripe-signature.ts";
import { createGatherer } from "../../supabase/functions/duebase-stripe-webhook/gather.ts";
import { handleStripeWebhook } from "../../supabase/functions/duebase-stripe-webhook/handler.ts";
import { createTurns } from "../../supabase/functions/duebase-stripe-webhook/turns.ts";
import { callAsService, chase } from "../support/delivering.ts";
import { hours, noon, openPost, type Post } from "./emails/post.ts";

// A team pushes the database first and deploys the functions afterwards. In between, functions of this release run on the
// database of the next one, which adds what supabase/upgrades allows: columns, arguments with a default, functions, kinds.

const next = `
  alter table billing.webhook_events add column next_note text;
  alter table billing.outbox add column next_hint text not null default 'none';
  alter table billing.emails add column next_locale text;
  alter table billing.settings add column next_switch boolean not null default false;
  alter table billing.customers add column next_rank integer;

  alter function billing.receive_event(jsonb, timestamptz) set schema billing_private;
  create function billing.receive_event(event jsonb, p_now timestamptz default now(), p_next text default null)
  returns text language plpgsql security definer set search_path = '' as $$
  begin
    return billing_private.receive_event(event, p_now);
  end;
  $$;
  grant execute on function billing.receive_event(jsonb, timestamptz, text) to service_role;

  alter table billing.outbox drop constraint kind_is_known;
  alter table billing.outbox add constraint kind_is_known
    check (kind in ('email', 'stripe', 'refresh', 'dunning', 'alert', 'letter'));
`;

let post: Post;
beforeAll(async () => {
  post = await openPost();
  await post.database.sql.begin((sql) =>
    sql.unsafe(upgradeMigration(release, [{ release: "9.9.0", sql: next }])),
  );
});
afterAll(() => post?.close());
beforeEach(() => post.reset());

const secret = "whsec_example";
/** Delivers an event to the webhook function of this release as Stripe does. */
async function receive(event: object): Promise<[number, unknown]> {
  const body = JSON.stringify(event);
  const seconds = Math.floor(noon.getTime() / 1000);
  const signature = createHmac("sha256", secret).update(`${seconds}.${body}`).digest("hex");
  const call = callAsService(post.database, "local");
  const response = await handleStripeWebhook(
    new Request("http://localhost/duebase-stripe-webhook", {
      method: "POST",
      headers: { "stripe-signature": `t=${seconds},v1=${signature}` },
      body,
    }),
    {
      verifySignature: createSignatureVerifier([secret]),
      // As index.ts does.
      storeEvent: createGatherer({
        receiveEvent: (text) => call("receive_event", `{"event":${text}}`),
        receiveEvents: (texts) => call("receive_events", `{"events":${texts}}`),
        takeTurn: createTurns(),
      }),
      tellAlarms: () => {},
      now: () => noon.getTime(),
      log: () => {},
    },
  );
  return [response.status, await response.json()];
}

const customer = {
  id: "evt_of_next",
  object: "event",
  type: "customer.created",
  api_version: "2026-10-28.endive",
  created: Math.floor(noon.getTime() / 1000),
  livemode: false,
  data: { object: { id: "cus_next", object: "customer", email: "next@example.com", created: 1 } },
};

test("the database is of the next release", async () => {
  const [row] = await post.database.asService((sql) => sql`select billing.version() as version`);
  expect(row?.version).toBe("9.9.0");
});

test("functions of this release receive an event, once, and it is projected", async () => {
  expect(await receive(customer)).toEqual([200, { received: true, outcome: "processed" }]);
  expect(await receive(customer)).toEqual([200, { received: true, outcome: "duplicate" }]);
  const rows = await post.database.sql`select email from billing.customers where id = 'cus_next'`;
  expect(rows).toEqual([{ email: "next@example.com" }]);
});

test("they deliver a mail, once, and leave alone a kind of effect that they do not know", async () => {
  await post.enqueue("mail");
  await post.database.sql`
    insert into billing.outbox (kind, dedupe_key, payload, run_after, created_at)
    values ('letter', 'letter', '{}', ${noon}, ${noon})`;
  const { counts } = await post.deliverAt(hours(1));
  expect(counts.delivered).toBe(1);
  await post.deliverAt(hours(2));
  expect(post.inbox.ledger.requests.filter(({ method }) => method === "POST")).toHaveLength(1);
  expect(await post.states()).toMatchObject([{ status: "delivered", attempts: 1, email: "sent" }]);
  const [letter] = await post.database.sql`select status, attempts from billing.outbox where kind = 'letter'`;
  expect(letter).toEqual({ status: "pending", attempts: 0 });
});

test("they run the day's dunning", async () => {
  const counts = await chase({ database: post.database }, hours(24));
  expect(counts.failed ?? 0).toBe(0);
  const [run] = await post.database.sql`select finished_at is not null as finished from billing.dunning_runs`;
  expect(run).toEqual({ finished: true });
});
