import { afterEach, expect, it } from "vitest";
import { restored } from "../../../scripts/duebase/commands/restored.ts";
import { createTestDatabase } from "../../support/database.ts";
import { answerOf } from "../../support/duebase/answers.ts";
import { DAY, DunningWorld } from "../../support/dunning-world.ts";

let world: DunningWorld | undefined;
afterEach(async () => {
  await world?.close();
  world = undefined;
});

it("matches by tag and by reading, receives what it missed, shows the list, and goes live only when it is told", async () => {
  // The command goes by the real time, and so this world ends there.
  world = await DunningWorld.open(new Date(Date.now() - 2 * DAY));
  const { sql } = world.database;
  await sql`
    update billing.settings
    set app_name = 'Example Notes', app_url = 'https://notes.example.com', email_from = 'billing@example.com' where id`;
  const pending = await world.subscribe();
  await world.arrive();
  await sql`
    insert into billing.outbox (kind, dedupe_key, payload, run_after, created_at)
    select 'stripe', 'default:' || s.id || ':pm_example', jsonb_build_object(
      'call', 'clear_pause_collection', 'id', s.id, 'customer', s.customer
    ), ${world.now}, ${world.now}
    from billing.subscriptions as s where s.customer = ${pending.customer}`;
  const backup = await createTestDatabase({ copyOf: world.database });
  const backupAt = world.now;
  world.now = new Date(world.now.getTime() + DAY);
  await world.deliver();
  const since = await world.subscribe();
  await world.arrive();
  await world.deliver();
  const left = [[pending, ["payment-receipt"]] as const, [since, ["payment-receipt"]] as const];
  for (const [who, mails] of left) expect(world.mailsTo(who.email)).toEqual(mails);

  await world.continueOn(backup);
  world.now = new Date();
  const { sql: here } = backup;
  const env = {
    DUEBASE_STRIPE_SECRET_KEY: world.parts.stripe?.secretKey ?? "",
    DUEBASE_STRIPE_API_URL: world.local.url,
    DUEBASE_CONNECT_RESEND_KEY: "re_example",
    DUEBASE_RESEND_BASE_URL: world.inbox.apiUrl,
  };
  const run = (given: { backupAt?: Date; dryRun?: boolean; yes?: boolean }, keys: NodeJS.ProcessEnv = env) =>
    answerOf((terminal) => restored(here, given, terminal, keys), given);
  const mode = async () => (await here`select mode from billing.settings`)[0]?.mode;

  expect(await run({})).toMatchObject({ error: { cure: expect.stringContaining("--backup-at") } });
  expect(await run({ backupAt, dryRun: true })).toMatchObject({ dry_run: true, mode: "live", pending: 2 });
  const withoutKey = await run({ backupAt }, { ...env, DUEBASE_CONNECT_RESEND_KEY: "" });
  expect(withoutKey).toMatchObject({
    error: { cure: expect.stringContaining("DUEBASE_CONNECT_RESEND_KEY") },
  });
  expect(await mode()).toBe("live");

  expect(await run({ backupAt })).toMatchObject({ error: { cure: expect.stringContaining("--yes") } });
  expect(await mode()).toBe("mirror");
  await expect(here`select billing.go_live('local')`).rejects.toMatchObject({ code: "DU084" });

  expect(await run({ yes: true })).toMatchObject({
    live: true,
    told: 2,
    emails: { reachesBack: true },
    counts: { email_performed: 2, stripe_performed: 1 },
    released: {},
  });
  expect(await mode()).toBe("live");
  await world.deliver();
  for (const [who, mails] of left) expect(world.mailsTo(who.email)).toEqual(mails);
  expect((await here`select status from billing.subscriptions`).length).toBe(2);
}, 240_000);
