import { randomUUID } from "node:crypto";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createClient } from "@supabase/supabase-js";
import { sign } from "hono/jwt";
import postgres from "postgres";
import Stripe from "stripe";
import { afterAll, beforeAll, beforeEach, describe, expect, test, vi } from "vitest";
import ws from "ws";
import { localKeys } from "../../scripts/local/keys.ts";
import { type Stack, startStack } from "../../scripts/local/stack.ts";
import { completeCheckout, setCardOutcome } from "../../scripts/local/stripe/buyer.ts";
import { eventually } from "../support/stack-project.ts";

// Portal and checkout as an application uses them: users whom Auth signed up, supabase-js in between, the functions
// on Deno, pages of the local Stripe at the end.

const APP = "https://app.example.com";

let directory: string;
let stack: Stack;
let sql: postgres.Sql;
let stripe: Stripe;
let price: string;

beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), "duebase-sessions-"));
  const ports = { api: 0, db: 0, studio: 0, inbox: 0, stripe: 0 };
  stack = await startStack({ directory, ports, fsync: false, watch: false });
  sql = postgres(stack.status.DB_URL, { max: 2, onnotice: () => {} });
  const { hostname: host, port } = new URL(stack.status.STRIPE_API_URL);
  stripe = new Stripe(localKeys.stripeSecretKey, { host, port, protocol: "http", telemetry: false });
  // Before either function is asked for the first time: they keep it for a minute.
  await sql`update billing.settings set app_url = ${APP} where id`;
  price = await newPrice({ recurring: { interval: "month" } });
});
afterAll(async () => {
  await sql?.end();
  await stack?.stop();
  await rm(directory, { recursive: true, force: true });
});

async function newPrice(how: Partial<Stripe.PriceCreateParams>): Promise<string> {
  const { id } = await stripe.prices.create({
    currency: "usd",
    unit_amount: 2000,
    product_data: { name: "Pro" },
    ...how,
  });
  await stack.stripe.settled();
  return id;
}

let people = 0;
async function signUp() {
  const email = `user${++people}@example.com`;
  const client = createClient(stack.status.API_URL, stack.status.PUBLISHABLE_KEY, {
    auth: { persistSession: false },
    realtime: { transport: ws as never },
  });
  const { data, error } = await client.auth.signUp({ email, password: "an example of a password" });
  if (error) throw error;
  return { client, email, id: data.user?.id ?? "", token: data.session?.access_token ?? "" };
}
type Person = Awaited<ReturnType<typeof signUp>>;

/** As an application does it; a refusal's status and code in place of its exception. */
async function invoke(person: Pick<Person, "client">, name: string, body?: object) {
  const { data, error } = await person.client.functions.invoke(name, body ? { body } : {});
  if (!error) return { status: 200, url: String(data.url) };
  const response = error.context as Response;
  return {
    status: response.status,
    code: ((await response.json()) as { error: { code: string } }).error.code,
  };
}

const order = (change: object = {}) => ({
  price,
  success_url: "/welcome?session={CHECKOUT_SESSION_ID}",
  cancel_url: `${APP}/pricing`,
  ...change,
});

async function buy(person: Person, change: object = {}): Promise<Stripe.Checkout.Session> {
  const { url = "" } = await invoke(person, "duebase-checkout", order(change));
  const session = await completeCheckout(stripe, url.split("/").at(-1) ?? "", { email: person.email });
  await stack.stripe.settled();
  return session;
}

describe("a user who buys", () => {
  let ada: Person;
  let session: Stripe.Checkout.Session;
  beforeAll(async () => {
    ada = await signUp();
    session = await buy(ada);
  });

  test("is the customer that Stripe makes, and sees the subscription as their own", async () => {
    expect(session).toMatchObject({
      mode: "subscription",
      client_reference_id: ada.id,
      metadata: { owner_id: ada.id },
      success_url: `${APP}/welcome?session={CHECKOUT_SESSION_ID}`,
    });
    const subscription = await stripe.subscriptions.retrieve(String(session.subscription));
    expect(subscription.metadata).toEqual({ owner_id: ada.id });
    const { data } = await ada.client.schema("billing").from("subscriptions").select("id, status, customer");
    expect(data).toEqual([{ id: session.subscription, status: "active", customer: session.customer }]);
  });

  test("gets to their own portal and to no other", async () => {
    const { url = "" } = await invoke(ada, "duebase-portal", { flow: "payment_method_update" });
    const page = await (await fetch(url)).text();
    expect(page).toContain("Use this card");
    expect(page).toContain(`href="${APP}/"`);
    await stack.stripe.settled();
    const [made] = await sql`
      select payload #> '{data,object}' as session from billing.stripe_events
      where type = 'billing_portal.session.created'
    `;
    expect(made?.session).toMatchObject({
      customer: session.customer,
      flow: { type: "payment_method_update" },
    });
  });

  test("is not sold the same again, but gets a second one as the same customer on request", async () => {
    expect(await invoke(ada, "duebase-checkout", order())).toEqual({
      status: 409,
      code: "already_subscribed",
    });
    const second = await buy(ada, { another: true });
    expect(second.customer).toBe(session.customer);
  });

  test("is told when a payment fails: what is owed, where to pay, and that it is paid", async () => {
    const erin = await signUp();
    const bought = await buy(erin);
    const subscription = await stripe.subscriptions.retrieve(String(bought.subscription));
    const due = async () => {
      await stack.stripe.settled();
      const { data, error } = await erin.client.schema("billing").rpc("my_billing_status");
      expect(error).toBeNull();
      return data;
    };
    expect(await due()).toEqual([]);

    const card = String(subscription.default_payment_method);
    await setCardOutcome(stripe, card, "insufficient_funds");
    const about = { customer: String(bought.customer), subscription: subscription.id };
    await stripe.invoiceItems.create({ ...about, amount: 1500, currency: "usd" });
    const invoice = await stripe.invoices.create(about);
    await stripe.invoices.finalizeInvoice(invoice.id);
    await expect(stripe.invoices.pay(invoice.id)).rejects.toMatchObject({ code: "card_declined" });
    // The card was given in the second of the decline, so it may be charged once more before an end is named.
    const row = await eventually("an end is named", async () =>
      (await due()).find((it: { end_action: string | null }) => it.end_action !== null),
    );
    expect(row).toMatchObject({
      subscription: subscription.id,
      product_name: "Pro",
      amount_due: 1500,
      currency: "usd",
      invoice: invoice.id,
      has_access: true,
      end_action: "cancel",
    });
    expect(await (await fetch(row.hosted_invoice_url)).text()).toContain("$15.00");
    // Ten days from when the project learned of it, and not before that day's noon.
    const left = Date.parse(row.ends_at) - Date.parse(row.overdue_since) - 10 * 86_400_000;
    expect(left).toBeGreaterThanOrEqual(0);
    expect(left).toBeLessThan(86_400_000);

    await setCardOutcome(stripe, card, "succeed");
    await stripe.invoices.pay(invoice.id);
    expect(await due()).toEqual([]);
  });

  test("has one session for a button pressed twice", async () => {
    const bob = await signUp();
    const key = { idempotency_key: "order-1" };
    const [first, second] = await Promise.all([
      invoke(bob, "duebase-checkout", order(key)),
      invoke(bob, "duebase-checkout", order(key)),
    ]);
    const again = await invoke(bob, "duebase-checkout", order(key));
    // While the first is under way Stripe refuses the second for the moment.
    const urls = [first, second, again].flatMap(({ url }) => url ?? []);
    expect(urls.length).toBeGreaterThanOrEqual(2);
    expect(new Set(urls).size).toBe(1);
    expect(await invoke(await signUp(), "duebase-checkout", order(key))).not.toMatchObject({ url: urls[0] });
  });
});

describe("somebody else", () => {
  let stranger: Person;
  beforeAll(async () => {
    stranger = await signUp();
  });

  test("who has bought nothing has no portal", async () => {
    expect(await invoke(stranger, "duebase-portal")).toEqual({ status: 404, code: "no_customer" });
  });

  test("is not let into the portal by another user's subscription", async () => {
    const owner = await signUp();
    const { subscription } = await buy(owner);
    const body = { flow: "subscription_cancel", subscription };
    expect(await invoke(stranger, "duebase-portal", body)).toEqual({
      status: 404,
      code: "unknown_subscription",
    });
    expect(await invoke(owner, "duebase-portal", body)).toMatchObject({ status: 200 });
  });

  describe.each(["duebase-portal", "duebase-checkout"])("is refused by %s", (name) => {
    const call = async (authorization?: string) => {
      const response = await fetch(`${stack.status.FUNCTIONS_URL}/${name}`, {
        method: "POST",
        headers: { apikey: stack.status.PUBLISHABLE_KEY, ...(authorization && { authorization }) },
        body: JSON.stringify(name === "duebase-checkout" ? order() : {}),
      });
      return [response.status, ((await response.json()) as { error: { code: string } }).error.code];
    };
    const claims = () => JSON.parse(Buffer.from(stranger.token.split(".")[1] ?? "", "base64url").toString());
    const refused = [401, "not_signed_in"];

    test("without a token, or with a key in its place", async () => {
      expect(await call()).toEqual(refused);
      expect(await call(`Bearer ${stack.status.PUBLISHABLE_KEY}`)).toEqual(refused);
      expect(await call(`Bearer ${stack.status.SECRET_KEY}`)).toEqual(refused);
      const visitor = createClient(stack.status.API_URL, stack.status.PUBLISHABLE_KEY, {
        auth: { persistSession: false },
        realtime: { transport: ws as never },
      });
      expect(await invoke({ client: visitor }, name)).toEqual({ status: 401, code: "not_signed_in" });
    });

    test("with a token that has expired", async () => {
      const token = await sign({ ...claims(), exp: 1_700_000_000 }, localKeys.jwtSecret, "HS256");
      expect(await call(`Bearer ${token}`)).toEqual(refused);
    });

    test("with a forged token, whichever way", async () => {
      const [head, body, signature = ""] = stranger.token.split(".");
      const unsigned = Buffer.from('{"alg":"none","typ":"JWT"}').toString("base64url");
      const other = Buffer.from(JSON.stringify({ ...claims(), sub: people })).toString("base64url");
      for (const forged of [
        await sign(claims(), "another secret of at least thirty-two characters", "HS256"),
        `${head}.${other}.${signature}`,
        `${unsigned}.${body}.${signature}`,
        `${head}.${body}.${signature.slice(0, -4)}AAAA`,
      ]) {
        expect(await call(`Bearer ${forged}`)).toEqual(refused);
      }
    });

    test("with the token of a session that was ended", async () => {
      const leaver = await signUp();
      await leaver.client.auth.signOut();
      expect(await call(`Bearer ${leaver.token}`)).toEqual(refused);
    });
  });
});

describe("what may be bought", () => {
  let carl: Person;
  beforeAll(async () => {
    carl = await signUp();
  });

  test("is an active price that settings allow", async () => {
    const retired = await newPrice({ active: false });
    const secret = await newPrice({});
    const unknown = { status: 400, code: "unknown_price" };
    expect(await invoke(carl, "duebase-checkout", order({ price: retired }))).toEqual(unknown);
    expect(await invoke(carl, "duebase-checkout", order({ price: "price_nobody_knows" }))).toEqual(unknown);
    await sql`update billing.settings set checkout_prices = ${[price]} where id`;
    expect(await invoke(carl, "duebase-checkout", order({ price: secret }))).toEqual(unknown);
    expect(await invoke(carl, "duebase-checkout", order())).toMatchObject({ status: 200 });
    await sql`update billing.settings set checkout_prices = null where id`;
    expect(await invoke(carl, "duebase-checkout", order({ price: secret }))).toMatchObject({ status: 200 });
  });

  test("once is a payment that is the user's", async () => {
    const once = await newPrice({ unit_amount: 500 });
    const session = await buy(carl, { price: once, quantity: 2 });
    expect(session).toMatchObject({ mode: "payment", amount_total: 1000 });
    const { data } = await carl.client.schema("billing").from("payments").select("amount, status");
    expect(data).toEqual([{ amount: 1000, status: "succeeded" }]);
  });

  test("leads back to the application only", async () => {
    for (const success_url of ["https://evil.example", "//evil.example", `${APP}@evil.example`]) {
      expect(await invoke(carl, "duebase-checkout", order({ success_url }))).toEqual({
        status: 400,
        code: "invalid_url",
      });
    }
  });
});

describe("of a user who is several customers, the portal shows", () => {
  let dora: Person;
  beforeEach(async () => {
    dora = await signUp();
  });
  const customer = async (created: string, status?: string) => {
    const id = `cus_${people}_${created}`;
    await sql`
      insert into billing.customers (id, owner_id, created, livemode)
      values (${id}, ${dora.id}, ${`2026-01-${created}`}, false)
    `;
    if (status) {
      await sql`
        insert into billing.subscriptions (id, customer, status, cancel_at_period_end)
        values (${`sub_${id}`}, ${id}, ${status}, false)
      `;
    }
    return id;
  };
  const shown = async () => {
    const [row] = await sql`select billing.find_portal_customer(${dora.id}) ->> 'customer' as id`;
    return row?.id;
  };

  test("the one that is overdue, then one with a running subscription, then the newest", async () => {
    const overdue = await customer("01", "past_due");
    const running = await customer("02", "active");
    const former = await customer("03", "canceled");
    const newest = await customer("04");
    expect(await shown()).toBe(overdue);
    await sql`update billing.subscriptions set status = 'canceled' where customer = ${overdue}`;
    expect(await shown()).toBe(running);
    await sql`update billing.customers set deleted_at = now() where id = ${running}`;
    expect(await shown()).toBe(newest);
    await sql`update billing.customers set livemode = true where id = ${newest}`;
    expect(await shown()).toBe(former);
  });
});

describe("where teams pay", () => {
  beforeAll(async () => {
    await sql.unsafe(`
      create table public.team_members (
        team_id uuid not null,
        user_id uuid not null references auth.users (id) on delete cascade,
        role text not null,
        primary key (team_id, user_id)
      );
      create function public.teams_of(user_id uuid)
      returns table (owner_id uuid, can_manage boolean)
      language sql stable
      set search_path = ''
      as $$
        select m.team_id, m.role = 'admin' from public.team_members as m where m.user_id = teams_of.user_id
      $$;
      update billing.settings set owners_function = 'public.teams_of(uuid)' where id;
    `);
  });
  afterAll(async () => {
    await sql`update billing.settings set owners_function = null where id`;
  });

  const join = async (team: string, person: Person, role: string) => {
    await sql`
      insert into public.team_members (team_id, user_id, role) values (${team}, ${person.id}, ${role})
      on conflict (team_id, user_id) do update set role = excluded.role
    `;
  };
  const refused = { status: 403, code: "not_a_manager" };

  test("its manager buys for it and gets to its portal, and a member is refused both", async () => {
    const team = randomUUID();
    const [admin, member] = [await signUp(), await signUp()];
    await join(team, admin, "admin");
    await join(team, member, "member");
    for (const body of [order(), order({ owner_id: team })]) {
      expect(await invoke(member, "duebase-checkout", body)).toEqual(refused);
    }
    const session = await buy(admin);
    expect(session).toMatchObject({ client_reference_id: team, metadata: { owner_id: team } });
    const subscription = await stripe.subscriptions.retrieve(String(session.subscription));
    expect(subscription.metadata).toEqual({ owner_id: team });
    expect(await sql`select owner_id from billing.customers where id = ${String(session.customer)}`).toEqual([
      { owner_id: team },
    ]);

    const body = { owner_id: team, subscription: session.subscription };
    expect(await invoke(admin, "duebase-portal", body)).toMatchObject({ status: 200 });
    expect(await invoke(member, "duebase-portal", body)).toEqual(refused);
    // The next request knows of a change.
    await join(team, admin, "member");
    await join(team, member, "admin");
    expect(await invoke(admin, "duebase-portal", body)).toEqual(refused);
    expect(await invoke(member, "duebase-portal")).toMatchObject({ status: 200 });
    expect(await invoke(member, "duebase-checkout", order())).toEqual({
      status: 409,
      code: "already_subscribed",
    });
  });

  test("a manager of several has to say which, and gets the portal of no other", async () => {
    const [first, second, foreign] = [randomUUID(), randomUUID(), randomUUID()].sort();
    const [admin, stranger] = [await signUp(), await signUp()];
    await join(String(first), admin, "admin");
    await join(String(second), admin, "admin");
    await join(String(foreign), stranger, "admin");
    const { error } = await admin.client.functions.invoke("duebase-checkout", { body: order() });
    const response = error.context as Response;
    expect([response.status, await response.json()]).toEqual([
      400,
      { error: { code: "owner_required", message: expect.any(String), owners: [first, second] } },
    ]);
    const bought = await buy(admin, { owner_id: second });
    expect(bought.metadata).toEqual({ owner_id: second });
    expect(await invoke(admin, "duebase-portal", { owner_id: first })).toEqual({
      status: 404,
      code: "no_customer",
    });
    expect(
      await invoke(admin, "duebase-portal", { owner_id: first, subscription: bought.subscription }),
    ).toEqual({ status: 404, code: "unknown_subscription" });
    for (const owner_id of [foreign, randomUUID(), admin.id]) {
      expect(await invoke(admin, "duebase-portal", { owner_id })).toEqual(refused);
      expect(await invoke(admin, "duebase-checkout", order({ owner_id }))).toEqual(refused);
    }
    expect(await invoke(admin, "duebase-portal", { owner_id: "mine" })).toEqual({
      status: 400,
      code: "invalid_request",
    });
  });

  test("a user of no team, and everybody while the function fails, is refused", async () => {
    const [alone, admin] = [await signUp(), await signUp()];
    await join(randomUUID(), admin, "admin");
    expect(await invoke(alone, "duebase-checkout", order())).toEqual(refused);
    expect(await invoke(admin, "duebase-checkout", order())).toMatchObject({ status: 200 });
    await sql`alter table public.team_members rename column role to rank`;
    expect(await invoke(admin, "duebase-checkout", order())).toEqual(refused);
    await sql`alter table public.team_members rename column rank to role`;
    expect(await invoke(admin, "duebase-checkout", order())).toMatchObject({ status: 200 });
  });
});

test("a browser's page of the application is let in through the gateway, and others are not", async () => {
  const preflight = (origin: string) =>
    fetch(`${stack.status.FUNCTIONS_URL}/duebase-portal`, {
      method: "OPTIONS",
      headers: { origin, "access-control-request-method": "POST" },
    });
  const allowed = await preflight(APP);
  expect([allowed.status, allowed.headers.get("access-control-allow-origin")]).toEqual([204, APP]);
  const refused = await preflight("https://evil.example");
  expect([refused.status, refused.headers.has("access-control-allow-origin")]).toEqual([403, false]);
});

test("with the database away both say 503 and when to come back", async () => {
  const eve = await signUp();
  // The API tells its terminal that it finds no database.
  vi.spyOn(console, "error").mockImplementation(() => {});
  await stack.postgres.stopImmediate();
  for (const name of ["duebase-portal", "duebase-checkout"]) {
    const response = await fetch(`${stack.status.FUNCTIONS_URL}/${name}`, {
      method: "POST",
      headers: { authorization: `Bearer ${eve.token}` },
      body: name === "duebase-checkout" ? JSON.stringify(order()) : null,
    });
    expect([response.status, response.headers.get("retry-after")]).toEqual([
      503,
      expect.stringMatching(/^\d+$/),
    ]);
    await response.body?.cancel();
  }
  await stack.postgres.start();
  vi.restoreAllMocks();
});
