import { randomUUID } from "node:crypto";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { createTestDatabase, type TestDatabase } from "../../support/database.ts";
import { told } from "../../support/orders.ts";
import { checkoutSession, customer } from "../../support/stripe/customers.ts";
import type { StripeEvent } from "../../support/stripe/events.ts";
import { charge, paymentIntent } from "../../support/stripe/payments.ts";
import { NOW, type Person, person, story, whereabouts } from "./ada.ts";

const ada = person("Ada");
const strings = Object.values(ada);
const BOOKS = [
  ...["customers", "subscriptions", "subscription_items", "invoices", "invoice_payments", "payments"],
  ...["refunds", "disputes", "payment_methods", "checkout_sessions"],
];

let database: TestDatabase;
beforeAll(async () => {
  database = await createTestDatabase();
});
afterAll(() => database.drop());

async function forget(userId: string, where = database): Promise<number> {
  return await where.asService(async (sql) => {
    const [row] = await sql<{ customers: number }[]>`select billing.forget_user(${userId}) as customers`;
    return row?.customers ?? -1;
  });
}

/** Projects again whatever fails, one after the other, as cron does. */
async function retryInAnHour(): Promise<void> {
  const tryNext = () =>
    database.sql`select billing.retry_failed_webhook(now() + interval '1 hour') as was_tried`;
  while ((await tryNext())[0]?.was_tried);
}

async function tell(events: StripeEvent[], where = database): Promise<void> {
  for (const event of events) expect(await where.receive(event)).toBe("processed");
}

/** The rows of a person in the tables that keep the books, without what is listed as personal. */
async function booksOf(who: string, where = database): Promise<Record<string, unknown[]>> {
  const books: Record<string, unknown[]> = {};
  for (const table of BOOKS) {
    const rows = await where.sql`
      select to_jsonb(t) - coalesce(
        (select array_agg(p.column_name) from billing_private.personal_data as p where p.table_name = ${`billing.${table}`}), '{}'
      ) as row
      from ${where.sql(`billing.${table}`)} as t where id like ${`%_Example${who}`} order by id
    `;
    books[table] = rows.map(({ row }) => row);
  }
  return books;
}

/** Writes the mail that is owed to a customer and sends it, as deliver does. Returns Resend's id of each. */
async function sendMail(): Promise<string[]> {
  return await database.asService(async (sql) => {
    const claimed = await sql<{ id: string; claim: string }[]>`
      select id, claim_id as claim from billing.claim_outbox('worker', 100, p_kinds => array['email'], p_now => now() + interval '1 hour')
    `;
    const claim = claimed[0]?.claim;
    if (!claim) return [];
    const steps = await sql<{ steps: { id: number; render?: { props: { customerName: string } } }[] }[]>`
      select billing.prepare_emails(${claimed.map(({ id }) => id)}, ${claim}, 'us@example.com') as steps
    `;
    const mails = (steps[0]?.steps ?? []).map(({ id, render }) => ({
      id,
      locale: "de",
      subject: `For ${render?.props.customerName}`,
      html: `<p>Dear ${render?.props.customerName}</p>`,
      text: `${render?.props.customerName}`,
    }));
    await sql`select count(*) from billing.begin_emails(${claim}, ${sql.json(mails)}, 'us@example.com')`;
    const answers = mails.map(({ id }) => ({ id, resend_id: `re_${id}` }));
    await sql`select billing.finish_emails(${claim}, ${sql.json(answers)})`;
    return mails.map(({ id }) => `re_${id}`);
  });
}

async function report(resendId: string, type: string, data: object): Promise<void> {
  const body = { type, created_at: "2026-09-22T10:00:00Z", data: { email_id: resendId, ...data } };
  await database.asService(
    (sql) => sql`select billing.receive_email_report(${randomUUID()}, ${sql.json(body as never)})`,
  );
}

describe("a user who is forgotten", () => {
  let user: string;
  let bob: string;
  let before: Record<string, unknown[]>;
  let bobBefore: string[];
  const bobsRows = async () => {
    const rows = [];
    for (const table of [...BOOKS, "stripe_events", "emails", "outbox", "audit_events"])
      rows.push(
        ...(await database.sql`
          select to_jsonb(t)::text as row from ${database.sql(`billing.${table}`)} as t where t::text like '%_ExampleBob%' order by 1
        `),
      );
    return rows.map(({ row }) => row as string);
  };

  beforeAll(async () => {
    user = await database.signUp();
    bob = await database.signUp();
    await tell(story("Bob", bob));
    await tell(story("Ada", user));
    // Mail that was sent, and bounced with the address in the reason; mail that is owed; mail that is dead.
    const sent = await sendMail();
    expect(sent.length).toBeGreaterThan(2);
    const [toAda] = await database.sql<{ id: string }[]>`
      select resend_id as id from billing.emails where customer_id = 'cus_ExampleAda' limit 1
    `;
    await report(toAda?.id ?? "", "email.bounced", {
      bounce: { type: "Permanent", message: `${ada.email} does not exist` },
    });
    await database.sql`
      insert into billing.outbox (kind, dedupe_key, payload, run_after, created_at, status, finished_at, last_error)
      select 'email', 'owed:' || s.status, jsonb_build_object(
          'template', 'payment-receipt', 'customer', 'cus_ExampleAda', 'to', ${ada.email}::text,
          'props', jsonb_build_object('customerName', ${ada.name}::text)
        ), now(), now(), s.status, case s.status when 'dead' then now() end,
        case s.status when 'dead' then jsonb_build_object('code', 'validation_error', 'message', ${`bad address ${ada.email}`}::text) end
      from unnest(array['pending', 'dead']) as s (status)
    `;
    await database.sql`select billing_private.alert_dead_letter(o, now()) from billing.outbox as o where o.dedupe_key = 'owed:dead'`;
    // An event that fails, saying why.
    await database.sql.unsafe(`
      create schema app;
      create function app.refuse(e billing.stripe_events) returns void language plpgsql as $$
      begin
        raise exception 'cannot take %', e.payload #>> '{data,object,name}' using detail = e.payload::text;
      end $$;
      insert into billing.event_handlers (event_type, handler) values ('customer.updated', 'app.refuse');
    `);
    const failing = { ...customer({ id: "cus_ExampleAda", created: NOW, name: ada.name, email: ada.email }) };
    expect(await database.receive(told("customer.updated", NOW + 450, failing))).toBe("failed");
    expect((await whereabouts(database, strings)).length).toBeGreaterThan(20);
    before = await booksOf("Ada");
    bobBefore = await bobsRows();
    expect(await forget(user)).toBe(1);
  });

  it("is nowhere any more, in no column of any table", async () => {
    expect(await whereabouts(database, strings)).toEqual([]);
  });

  it("leaves the books as they were: every amount, date, status and id", async () => {
    for (const rows of Object.values(before)) expect(rows.length).toBeGreaterThan(0);
    expect(await booksOf("Ada")).toEqual(before);
  });

  it("takes nothing of anybody else's along", async () => {
    expect(await bobsRows()).toEqual(bobBefore);
  });

  it("is on record as forgotten, once, without anything personal", async () => {
    expect(await forget(user)).toBe(1);
    expect(
      await database.sql`select actor, detail from billing.audit_events where subject_id = ${user} and action = 'user.forgotten'`,
    ).toEqual([{ actor: "operator", detail: { customers: ["cus_ExampleAda"] } }]);
  });

  it("gets no mail that was not sent yet, not even when a dead one is replayed", async () => {
    const owed = await database.sql<{ id: string; status: string; code: string }[]>`
      select id, status, last_error ->> 'code' as code from billing.outbox where dedupe_key like 'owed:%'
    `;
    for (const { id, status, code } of owed) {
      expect([status, code]).toEqual(["canceled", "customer_forgotten"]);
      expect(await database.sql`select billing.replay_outbox(${id}) as outcome`).toEqual([
        { outcome: "canceled" },
      ]);
    }
    expect(owed).toHaveLength(2);
  });

  it("keeps an address that bounced from being written to, by its digest", async () => {
    const [kept] = await database.sql`select address, reason from billing.suppressed_addresses`;
    expect(kept).toEqual({ address: expect.stringMatching(/^sha256:[0-9a-f]{64}$/), reason: "bounced" });
    const other = customer({ id: "cus_ExampleZoe", created: NOW, email: ada.email.toUpperCase() });
    await tell([told("customer.created", NOW, other)]);
    const [recipient] = await database.sql`
      select r.obstacle
      from billing.outbox as o
      cross join lateral billing_private.email_recipient(
        jsonb_populate_record(o, '{"payload": {"template": "payment-receipt", "customer": "cus_ExampleZoe"}}')
      ) as r
      limit 1
    `;
    expect(recipient).toEqual({ obstacle: "address_suppressed" });
    await database.sql`update billing.customers set email = null where id = 'cus_ExampleZoe'`;
    await database.sql`select billing_private.forget_addresses(array['cus_ExampleZoe'], '{}')`;
    await database.sql`delete from billing.customers where id = 'cus_ExampleZoe'`;
  });

  it("is not brought back by what comes later: an event, a read, a retry, a report", async () => {
    const events = story("Ada", user).map((event) => ({
      ...event,
      id: `${event.id}Later`,
      created: event.created + 10_000,
    }));
    const zoe =
      await database.sql`select count(*)::int from billing.webhook_events where customer_id = 'cus_ExampleZoe'`;
    expect(zoe).toEqual([{ count: 1 }]);
    for (const event of events) expect(["processed", "failed"]).toContain(await database.receive(event));
    const read = story("Ada", user)[2]?.data.object;
    expect(
      await database.sql`select billing.apply_refresh(${database.sql.json(read as never)}, to_timestamp(${NOW + 50_000})) as outcome`,
    ).toEqual([{ outcome: "applied" }]);
    await retryInAnHour();
    const [mail] = await database.sql<{ id: string }[]>`
      select resend_id as id from billing.emails where customer_id = 'cus_ExampleAda' and status = 'sent' limit 1
    `;
    await report(mail?.id ?? "", "email.bounced", {
      bounce: { type: "Permanent", message: `no ${ada.email}` },
    });
    expect(await sendMail()).toEqual([]);
    const found = (await whereabouts(database, strings)).filter(
      (cell) => cell !== "billing_private.webhook_payloads.payload",
    );
    expect(found).toEqual([]);
    const [stored] = await database.sql`
      select count(*)::int from billing.stripe_events
      where payload::text like '%_ExampleAda%' and payload::text ~* 'ada lovelace|ada@lovelace'
    `;
    expect(stored).toEqual({ count: 0 });
  });

  it("keeps events that cannot be changed otherwise, and are still known when they come again", async () => {
    for (const change of [
      "billing.webhook_events set type = 'other' where customer_id = 'cus_ExampleAda'",
      "billing_private.webhook_payloads set payload = '{}' where customer_id = 'cus_ExampleAda'",
      "billing_private.webhook_payloads set payload = billing_private.redact(payload), received_at = now() where customer_id = 'cus_ExampleAda'",
      "billing_private.webhook_payloads set payload = billing_private.redact(payload) where customer_id = 'cus_ExampleBob'",
    ])
      await expect(database.sql.unsafe(`update ${change}`), change).rejects.toThrow(
        expect.objectContaining({ code: "DU004" }),
      );
    const [first] = await database.sql<{ id: string }[]>`
      select id from billing.webhook_events where customer_id = 'cus_ExampleAda' order by received_at, id limit 1
    `;
    const again = {
      ...told("customer.created", NOW, customer({ id: "cus_ExampleAda", created: NOW })),
      id: first?.id,
    };
    expect(await database.receive(again)).toBe("duplicate");
  });
});

it("leaves events from which the same books can be read again", async () => {
  const [one, two] = [await createTestDatabase(), await createTestDatabase()];
  try {
    const user = randomUUID();
    for (const where of [one, two]) await where.signUp({ id: user });
    await tell(story("Ada", user), one);
    await forget(user, one);
    const kept = await one.sql<
      { payload: object }[]
    >`select payload from billing.stripe_events order by created desc, id`;
    for (const { payload } of kept) expect(await two.receive(payload)).toBe("processed");
    expect(await booksOf("Ada", two)).toEqual(await booksOf("Ada", one));
    expect((await booksOf("Ada", one)).customers).toMatchObject([{ owner_id: user }]);
  } finally {
    await one.drop();
    await two.drop();
  }
});

describe("forgetting", () => {
  const someone = (id: string, user: string) =>
    told(
      "customer.created",
      NOW,
      customer({ id, created: NOW, email: `${id}@example.com`, metadata: { owner_id: user } }),
    );
  const emailsOf = async (...ids: string[]) =>
    (await database.sql`select email from billing.customers where id = any (${ids}) order by id`).map(
      ({ email }) => email,
    );

  it("reaches every customer of a user", async () => {
    const user = await database.signUp();
    await tell([someone("cus_First", user), someone("cus_Second", user)]);
    expect(await forget(user)).toBe(2);
    expect(await emailsOf("cus_First", "cus_Second")).toEqual([null, null]);
  });

  it("reaches what was bought without being a customer, and what comes of it later", async () => {
    const user = await database.signUp();
    const guest = person("Gwen");
    const billing_details = {
      address: null,
      email: guest.email,
      name: guest.name,
      phone: guest.phone,
      tax_id: null,
    };
    const paid = charge({ id: "ch_Guest", created: NOW, amount: 500, payment_intent: "pi_Guest" });
    await tell([
      told("payment_intent.succeeded", NOW, {
        ...paymentIntent({
          id: "pi_Guest",
          created: NOW,
          amount: 500,
          amount_received: 500,
          status: "succeeded",
        }),
        receipt_email: guest.email,
        description: guest.comment,
      }),
      told("charge.succeeded", NOW, { ...paid, billing_details, receipt_url: guest.page }),
      told("checkout.session.completed", NOW, {
        ...checkoutSession({ id: "cs_test_Guest", created: NOW, mode: "payment", client_reference_id: user }),
        payment_intent: "pi_Guest",
        customer_email: guest.email,
        metadata: { company: guest.company },
      }),
    ]);
    const { last4: _, fingerprint: __, ...tells } = guest;
    expect((await whereabouts(database, Object.values(tells))).length).toBeGreaterThan(2);
    expect(await forget(user)).toBe(0);
    await tell([told("charge.refunded", NOW + 60, { ...paid, billing_details, amount_refunded: 500 }, paid)]);
    expect(await whereabouts(database, Object.values(tells))).toEqual([]);
    expect(
      await database.sql`select amount, amount_refunded from billing.payments where id = 'pi_Guest'`,
    ).toEqual([{ amount: "500", amount_refunded: "500" }]);
  });

  // What names no customer: by what it names it is a person's all the same. As Stripe documents these objects.
  const unnamed = (who: Person, user: string, tag: string): [string, StripeEvent["data"]["object"]][] => [
    [
      "review.opened",
      {
        id: `prv_1${tag}`,
        object: "review",
        charge: `ch_1${tag}`,
        payment_intent: null,
        ip_address: who.street,
        ip_address_location: { city: who.street, country: "DE" },
        session: { browser: who.comment },
      },
    ],
    [
      "radar.early_fraud_warning.created",
      { id: `issfr_1${tag}`, object: "radar.early_fraud_warning", charge: `ch_1${tag}`, note: who.comment },
    ],
    [
      "mandate.updated",
      {
        id: `mandate_1${tag}`,
        object: "mandate",
        payment_method: `pm_1${tag}`,
        customer_acceptance: { type: "online", online: { ip_address: who.street, user_agent: who.company } },
      },
    ],
    [
      "identity.verification_session.verified",
      {
        id: `vs_1${tag}`,
        object: "identity.verification_session",
        metadata: { owner_id: user, who: who.name },
        provided_details: { email: who.email, phone: who.phone },
        verified_outputs: {
          first_name: who.name,
          id_number: who.company,
          dob: { day: 1, month: 2, year: 1980 },
        },
      },
    ],
    [
      "identity.verification_session.processing",
      {
        id: `vs_2${tag}`,
        object: "identity.verification_session",
        related_customer: `cus_1${tag}`,
        provided_details: { email: who.email, phone: who.phone },
      },
    ],
    [
      "customer.tax_id.created",
      {
        id: `txi_1${tag}`,
        object: "tax_id",
        customer: `cus_1${tag}`,
        type: "eu_vat",
        value: who.company,
        verification: { verified_name: who.name, verified_address: who.street },
      },
    ],
    [
      "telepathy.session.ended",
      {
        id: `tele_1${tag}`,
        object: "telepathy.session",
        about: { thought_of: `in_1${tag}`, email: who.email },
      },
    ],
    [
      "setup_intent.created",
      { id: `seti_1${tag}`, object: "setup_intent", customer: `cus_1${tag}`, description: who.comment },
    ],
  ];

  it("reaches events of every type, before and after, by whatever they name", async () => {
    const user = await database.signUp();
    const [mia, other] = [person("Mia"), person("Max")];
    const ids = { customer: "cus_1Mia", created: NOW };
    await tell([
      someone("cus_1Mia", user),
      someone("cus_1Max", await database.signUp()),
      told("charge.succeeded", NOW, {
        ...charge({ id: "ch_1Mia", amount: 500, ...ids, payment_intent: "pi_1Mia" }),
      }),
      told("payment_method.attached", NOW, {
        id: "pm_1Mia",
        object: "payment_method",
        type: "card",
        ...ids,
      } as never),
      told("invoice.created", NOW, { id: "in_1Mia", object: "invoice", status: "draft", ...ids } as never),
    ]);
    const about = (who: Person, of: string, tag: string, at: number) =>
      unnamed(who, of, tag).map(([type, object]) => told(type, at, object));
    await tell(about(mia, user, "Mia", NOW + 1));
    await tell(about(other, randomUUID(), "Max", NOW + 1));
    const { last4: _, fingerprint: __, reference: ___, page: ____, ...tells } = mia;
    expect(await whereabouts(database, Object.values(tells))).toEqual([
      "billing_private.webhook_payloads.payload",
    ]);
    expect(await forget(user)).toBe(1);
    expect(await whereabouts(database, Object.values(tells))).toEqual([]);
    await tell(about(mia, user, "Mia", NOW + 2));
    expect(await whereabouts(database, Object.values(tells))).toEqual([]);
    const kept = await database.sql`
      select count(*)::integer from billing.stripe_events where payload::text like ${`%${other.name}%`}`;
    expect(kept, "what is somebody else's stays").toEqual([{ count: 2 }]);
  });

  it("takes the words out of the ledger of credits and of dunning, and nothing else", async () => {
    const user = await database.signUp();
    await tell([someone("cus_Noted", user)]);
    await database.sql`select billing.grant_credits(${user}, 'tokens', 10, 'key-1', 'sorry, Winifred')`;
    await database.sql`select billing.exclude_from_dunning('cus_Noted', 'Winifred called')`;
    expect(await whereabouts(database, ["Winifred"])).not.toEqual([]);
    expect(await forget(user)).toBe(1);
    expect(await whereabouts(database, ["Winifred"])).toEqual([]);
    expect(
      await database.sql`select kind, credits, balance_after from billing.credit_entries where owner_id = ${user}`,
    ).toEqual([{ kind: "tokens", credits: "10", balance_after: "10" }]);
    expect(await forget(user)).toBe(1);
  });

  it.each([
    ["that never left is taken apart", null, null],
    ["that may have left stays whole, so that its key keeps it from being sent twice", NOW, "held"],
  ])("of a batch of mail %s", async (_what, unknownSince, expected) => {
    const user = await database.signUp();
    const batch = randomUUID();
    await tell([someone(`cus_Batch${batch}`, user)]);
    for (const [position, customerId] of [`cus_Batch${batch}`, `cus_Other${batch}`].entries())
      await database.sql`
        with owed as (
          insert into billing.outbox (kind, dedupe_key, payload, run_after, created_at)
          values ('email', ${`batch:${customerId}`}, jsonb_build_object('customer', ${customerId}::text), now(), now())
          returning id
        )
        insert into billing.emails (
          outbox_id, dedupe_key, template, customer_id, from_address, to_address, locale, subject, html, text, batch_id,
          batch_position, status_at, created_at, attempted_at, unknown_since
        )
        select
          id, ${`batch:${customerId}`}, 'payment-receipt', ${customerId}, 'us@example.com', 'x@example.com', 'en', 's', 'h', 't', ${batch},
          ${position + 1}, now(), now(), to_timestamp(${NOW}), to_timestamp(${unknownSince})
        from owed
      `;
    expect(await forget(user)).toBe(1);
    const mails = await database.sql`
      select o.status, e.batch_id, e.subject from billing.emails as e join billing.outbox as o on o.id = e.outbox_id
      where e.dedupe_key like ${`batch:%${batch}`} order by e.id
    `;
    const kept = expected && batch;
    expect(mails).toEqual([
      { status: "canceled", batch_id: kept, subject: "" },
      { status: "pending", batch_id: kept, subject: "s" },
    ]);
  });

  it("works for a user who never was a customer", async () => {
    expect(await forget(await database.signUp())).toBe(0);
  });

  it("works after the account was deleted, and again after that", async () => {
    const user = await database.signUp();
    await tell([someone("cus_Gone", user)]);
    await database.connect({ role: "supabase_auth_admin" })`delete from auth.users where id = ${user}`;
    expect(await emailsOf("cus_Gone")).toEqual(["cus_Gone@example.com"]);
    expect(await forget(user)).toBe(1);
    expect(await emailsOf("cus_Gone")).toEqual([null]);
    expect(await forget(user)).toBe(1);
  });

  it("leaves alone a customer who became another user's", async () => {
    const [former, current] = [await database.signUp(), await database.signUp()];
    await tell([someone("cus_Moved", former)]);
    await tell([told("customer.updated", NOW + 60, { ...someone("cus_Moved", current).data.object })]).catch(
      () => {},
    );
    await retryInAnHour();
    await database.sql`update billing.customers set owner_id = ${current} where id = 'cus_Moved'`;
    expect(await forget(former)).toBe(0);
    expect(await emailsOf("cus_Moved")).toEqual(["cus_Moved@example.com"]);
  });

  it("refuses a user nobody knows", async () => {
    for (const unknown of [randomUUID(), null])
      await expect(database.sql`select billing.forget_user(${unknown})`).rejects.toThrow(
        expect.objectContaining({ code: "DU025", hint: expect.stringContaining("auth.users") }),
      );
  });

  it("waits for an event under way, and what comes meanwhile waits for it", async () => {
    const user = await database.signUp();
    await tell([someone("cus_Race", user)]);
    const update = (id: string) => ({
      ...told("invoice.created", NOW, {
        id: `in_${id}`,
        object: "invoice",
        customer: "cus_Race",
        customer_email: "race@example.com",
      }),
    });
    const receiving = database.connect();
    const forgetting = database.connect();
    let forgotten: Promise<unknown> | undefined;
    await receiving.begin(async (sql) => {
      await sql`select billing.receive_event(${sql.json(update("before") as never)})`;
      forgotten = forgetting`select billing.forget_user(${user})`.execute();
      await untilOneWaits(database);
    });
    await forgotten;
    let received: Promise<unknown> | undefined;
    await forgetting.begin(async (sql) => {
      await sql`select billing.forget_user(${user})`;
      received =
        receiving`select billing.receive_event(${receiving.json(update("after") as never)})`.execute();
      await untilOneWaits(database);
    });
    await received;
    const rows = await database.sql`
      select object_id, payload #> '{data,object,customer_email}' as email from billing.stripe_events where customer_id = 'cus_Race' order by 1
    `;
    expect(rows.slice(1)).toEqual([
      { object_id: "in_after", email: null },
      { object_id: "in_before", email: null },
    ]);
  });
});

/** Resolves once a session waits for an advisory lock. */
async function untilOneWaits(where: TestDatabase): Promise<void> {
  await expect
    .poll(
      async () =>
        (
          await where.sql`select from pg_locks where locktype = 'advisory' and not granted and database = (select oid from pg_database where datname = current_database())`
        ).length,
      { timeout: 10_000 },
    )
    .toBe(1);
}
