import { expect, it, vi } from "vitest";
import type { ReachPoint } from "../../../supabase/functions/_duebase/crash-points.ts";
import { costOf, historyOf } from "../../support/seat-costs.ts";
import { MINUTE, SeatsWorld, type Team } from "../../support/seats-world.ts";
import { Random } from "../../support/simulation/random.ts";

// Minutes of this world take seconds on a busy machine.
vi.setConfig({ testTimeout: 600_000 });

/** How many months are played, each with a seed of its own. DUEBASE_SEED plays one again. */
const MONTHS = Number(process.env.DUEBASE_SEAT_MONTHS ?? 1);
const SEED = Number(process.env.DUEBASE_SEED ?? 20261130);
/** Of one seat in a month, minor units. */
const PRICE = 1000;
const DAY = 24 * 60 * MINUTE;

/** A run of deliver that stops for ever at the nth point it reaches, as one that is killed there. Says whether it was. */
async function deliverAndKill(seats: SeatsWorld, nth: number): Promise<boolean> {
  let reached = 0;
  let stop: () => void = () => {};
  const stopped = new Promise<boolean>((resolve) => {
    stop = () => resolve(true);
  });
  const reach: ReachPoint = () => {
    if (++reached !== nth) return Promise.resolve();
    stop();
    return new Promise(() => {});
  };
  return Promise.race([seats.world.deliver({ reach }).then(() => false), stopped]);
}

/** A month of one team: somebody joins or leaves every few hours, and all sorts of things go wrong. */
async function playMonth(
  seats: SeatsWorld,
  team: Team,
  random: Random,
): Promise<{ kills: number; declines: number }> {
  const done = { kills: 0, declines: 0 };
  const end = seats.world.now.getTime() + 29 * DAY;
  let card = team.card;
  let isBroken = false;
  while (seats.world.now.getTime() < end) {
    const members = await seats.members(team.id);
    const change = random.int(1, 4);
    if (members > 3 && random.chance(0.45)) await seats.leave(team.id, Math.min(change, members - 1));
    else await seats.join(team.id, change);
    if (isBroken ? random.chance(0.5) : random.chance(0.15)) {
      if (isBroken) card = await seats.newCard(team.customer);
      else await seats.breakCard(card);
      isBroken = !isBroken;
      done.declines += 1;
    }
    if (random.chance(0.4)) {
      // Deliver is killed anywhere in its work, and what it held is claimed again after its lease.
      await seats.world.passTime(new Date(seats.world.now.getTime() + 2 * MINUTE));
      await seats.tick();
      await seats.world.passTime(new Date(seats.world.now.getTime() + 2 * MINUTE));
      if (await deliverAndKill(seats, random.int(1, 14))) done.kills += 1;
    }
    if (random.chance(0.3)) {
      // An event of the team's comes twice, and long after it happened.
      const told = seats.world.local.events.all().slice(-20);
      await seats.world.arriveLate([random.pick(told)]);
    }
    await seats.minutes(random.int(1, 4));
    await seats.world.passTime(new Date(seats.world.now.getTime() + random.int(16, 60) * 60 * MINUTE));
  }
  if (isBroken) await seats.newCard(team.customer);
  await seats.minutes(6);
  return done;
}

const months = Array.from({ length: MONTHS }, (_, month) => ({ seed: SEED + month }));

it.each(
  months.flatMap((month) => [
    { ...month, proration: "create_prorations" },
    { ...month, proration: "always_invoice" },
  ]),
)(
  "a month of joins and leaves, $proration, DUEBASE_SEED=$seed: Stripe has the members, and each seat is paid once",
  async ({ seed, proration }) => {
    const random = new Random(seed);
    const seats = await SeatsWorld.open();
    try {
      await seats.world.database.sql`update billing.settings set seats_proration = ${proration} where id`;
      const team = await seats.subscribedTeam(random.int(1, 5));
      const done = await playMonth(seats, team, random);
      console.log(`a month of seats, ${proration}: DUEBASE_SEED=${seed}`, done);
      const members = await seats.members(team.id);
      expect(await seats.atStripe(team.subscription)).toBe(members);
      expect(await seats.shown(team.id)).toMatchObject({
        quantity: members,
        stripe_quantity: members,
        status: "same",
      });

      // The next invoice has all that was not charged yet, and the seats of the next month.
      const { items } = await seats.world.stripe.subscriptions.retrieve(team.subscription);
      const period = {
        start: Number(items.data[0]?.current_period_start),
        end: Number(items.data[0]?.current_period_end),
      };
      await seats.world.passTime(new Date(period.end * 1000));
      await seats.world.passTime(new Date(period.end * 1000 + 61 * MINUTE));
      const invoices = await seats.world.stripe.invoices
        .list({ subscription: team.subscription, limit: 100 })
        .autoPagingToArray({ limit: 1000 });
      expect(invoices.filter(({ status }) => status === "open" || status === "draft")).toEqual([]);
      const paid = invoices.filter(({ status }) => status === "paid");
      const charged = paid.reduce((sum, { total }) => sum + total, 0);
      const { quantities: changes } = historyOf(seats.world.local, team.subscription);
      const lines = changes.length * 2;
      expect(Math.abs(charged - costOf(period, changes, PRICE) - members * PRICE)).toBeLessThanOrEqual(lines);

      // By hand in the books: nobody was dunned, and nothing waits.
      expect(await seats.world.database.sql`select from billing.dunning_cases`).toHaveLength(0);
      expect(
        await seats.world.database
          .sql`select from billing.outbox where dedupe_key like 'seats:%' and status <> 'delivered'`,
      ).toHaveLength(0);
    } finally {
      await seats.close();
    }
  },
);
