import { setTimeout as delay } from "node:timers/promises";
import { expect, test } from "vitest";
import type { Result } from "../../../scripts/duebase/doctor/run.ts";
import { withClient } from "../../support/existing-project.ts";
import type { HostedProject } from "../../support/hosted-project.ts";
import type { Ended } from "../../support/packed-command.ts";
import { eventually } from "../../support/stack-project.ts";
import { failPayment, type Subscribers } from "./subscribers.ts";

/** What these steps need of the story around them, once it has begun. */
export interface LiveParts {
  hosted: HostedProject;
  databaseUrl: string;
  subscribers: Subscribers;
  duebase(...args: string[]): Promise<Ended>;
  /** Fails where a row, an object, a job, a privilege or a file of theirs is not what it was. */
  expectTheirsUntouched(): Promise<void>;
}

/** Who links their customers, and who has access there. */
const LINKS = "select stripe_customer as customer, user_id as owner_id from app.subscribers";
const ACCESS = "select user_id as owner_id, 'notes' as feature from app.subscribers";

interface Step {
  what: string;
  /** What doctor says before it and no more after it: the check, and what is red. */
  cures: [check: string, says: RegExp][];
  follow(parts: LiveParts): Promise<unknown>;
}

/** Each does what the cures say. */
const STEPS: Step[] = [
  {
    what: "duebase connect",
    cures: [
      ["vault", /no secret duebase_functions_url/],
      ["functions", /where the functions are is not known/],
      ["cron_round_trip", /no secret duebase_functions_url/],
      ["stripe_endpoint", /webhook address is not known/],
      ["resend_webhook", /webhook address is not known/],
    ],
    async follow({ duebase, hosted }) {
      const { code, out, err } = await duebase("connect", "--yes", "--functions-url", hosted.functionsUrl);
      expect({ code, err }, out).toEqual({ code: 0, err: "" });
      await hosted.restarted();
    },
  },
  {
    what: "name, address, sender, and the sender's domain",
    cures: [
      ["settings", /app_name is still Example App/],
      ["settings", /app_url/],
      ["settings", /email_from is not set/],
      ["resend_sender", /shop\.example\.com is not verified with Resend \(pending\)/],
    ],
    async follow({ hosted, databaseUrl }) {
      hosted.inbox.domains.splice(0, 1, { name: "shop.example.com", status: "verified" });
      await withClient(
        databaseUrl,
        (sql) => sql`
          update billing.settings
          set app_name = 'Shop', app_url = 'https://shop.example.com', email_from = 'Shop <billing@shop.example.com>'
          where id`,
      );
    },
  },
  {
    what: "duebase backfill",
    cures: [
      ["history", /a backfill was never run/],
      ["history", /2 of Stripe.s newest subscriptions are not here/],
    ],
    async follow({ duebase }) {
      const { code, out, err } = await duebase(
        "backfill",
        "--json",
        "--links-query",
        LINKS,
        "--access-query",
        ACCESS,
      );
      expect({ code, err }, out).toMatchObject({ code: 0 });
      expect(JSON.parse(out)).toMatchObject({
        run: { status: "complete" },
        links: { links: 2, outcomes: { linked: 2 } },
        unlinked: [],
        oldDebts: { invoices: 1, customers: 1 },
        access: { same: 2, lost: [], gained: [] },
        mails: 0,
      });
    },
  },
];

const nextSecond = () => delay(1_000 - (Date.now() % 1_000));

/** What stays amber: nobody can look at it. */
const ONLY_AMBER = ["stripe_retries", "stripe_emails"];

/** From deployed functions to the first mail: doctor red, each cure followed, green but for what no API shows, live. */
export function goingLive(parts: () => LiveParts): void {
  const doctor = async (...args: string[]) => {
    const { code, out, err } = await parts().duebase("doctor", "--json", ...args);
    expect([0, 1], err).toContain(code);
    return { code, results: JSON.parse(out).results as Result[] };
  };
  const reds = (results: Result[]) => results.filter(({ light }) => light === "red");
  const lines = (results: Result[]) =>
    results.map(({ check, says, cure }) => `${check}: ${says} → ${cure ?? ""}`);
  const mails = () => parts().hosted.inbox.ledger.mails;

  /** What doctor said last. */
  let found: Result[] = [];

  test("deployed and no more, doctor is red, with a reason and a cure for each, and go-live refuses", async () => {
    await parts().hosted.deploy();
    const { code, results } = await doctor();
    found = results;
    expect(code).toBe(1);
    for (const { says, cure } of reds(found)) expect(cure, says).toBeTruthy();
    const live = await parts().duebase("go-live", "--yes");
    expect(live).toMatchObject({ code: 1, err: expect.stringMatching(/Not live: \d+ things are red/) });
    await parts().expectTheirsUntouched();
  });

  test.each(STEPS)("a cure: $what", async ({ cures, follow }) => {
    const cured = ({ check, says }: Result) =>
      cures.some(([name, pattern]) => name === check && pattern.test(says));
    expect(reds(found).filter(cured).length, lines(found).join("\n")).toBe(cures.length);
    await follow(parts());
    found = (await doctor()).results;
    expect(lines(reds(found).filter(cured))).toEqual([]);
    await parts().expectTheirsUntouched();
  });

  test("then Stripe's events arrive, the tick runs, and nothing is red; what no API shows is amber", async () => {
    const { hosted, subscribers, databaseUrl } = parts();
    await hosted.stripe.customers.update(subscribers.pays.customer, { name: "Ada" });
    await eventually("the event is here", () =>
      withClient(databaseUrl, async (sql) => {
        const [row] = await sql`select name from billing.customers where id = ${subscribers.pays.customer}`;
        return row?.name === "Ada";
      }),
    );
    await hosted.tick();
    const { code, results } = await doctor(
      "--answer",
      "stripe_retries=yes",
      "--answer",
      "stripe_emails=yes",
      "--access-query",
      ACCESS,
    );
    expect(lines(reds(results))).toEqual([]);
    const amber = results.filter(({ light }) => light === "amber");
    expect(
      amber.map(({ check }) => check),
      lines(amber).join("\n"),
    ).toEqual(ONLY_AMBER);
    expect(code).toBe(0);
    await parts().expectTheirsUntouched();
  });

  test("go-live goes live, and nobody is told of what was before", async () => {
    const { hosted, duebase } = parts();
    const { code, out, err } = await duebase("go-live", "--yes");
    expect({ code, err }, out).toEqual({ code: 0, err: expect.anything() });
    expect(out).toMatch(/Live as abcdefghijklmnopqrst/);
    await hosted.tick();
    expect(mails()).toEqual([]);
    const { results } = await doctor();
    expect(lines(reds(results))).toEqual([]);
    expect(results.find(({ check }) => check === "mode")?.says).toBe("live as abcdefghijklmnopqrst");
    await parts().expectTheirsUntouched();
  });

  test("an invoice fails at Stripe, and its customer gets one mail; who owed before gets none", async () => {
    const { hosted, subscribers } = parts();
    // Stripe's times are whole seconds: what fails in the second of going live would count as before it.
    await nextSecond();
    await failPayment(hosted, subscribers.pays);
    // A wake-up may be lost: then the minute's tick is what delivers.
    const minutes = setInterval(() => void hosted.tick().catch(console.error), 10_000);
    const [mail] = await eventually("the mail", () => mails().length > 0 && mails(), 60_000).finally(() =>
      clearInterval(minutes),
    );
    expect(mail).toMatchObject({
      to: [subscribers.pays.email],
      from: "Shop <billing@shop.example.com>",
      tags: expect.objectContaining({ template: "payment-failed-notice" }),
    });
    for (let minute = 0; minute < 3; minute++) await hosted.tick();
    await hosted.local.settled();
    expect(mails()).toHaveLength(1);
    await parts().expectTheirsUntouched();
  });
}
