import { afterEach, expect, it } from "vitest";
import { SEED } from "../../support/seed.ts";
import { RestoredLife } from "./restored-life.ts";

// `npm run soak` plays many people: some 200 mails and 40 calls leave between backup and restore.
const people = Number(process.env.DUEBASE_RESTORED_PEOPLE ?? 5);

let life: RestoredLife | undefined;
afterEach(async () => {
  await life?.close();
  life = undefined;
});

it("in a life with a restore everything paid is told once, no step is told twice, and nothing is canceled twice", async () => {
  console.log(`a life with a restore: DUEBASE_SEED=${SEED}`);
  life = await RestoredLife.open(SEED, people);
  const { inbox, database } = life.world;
  const left = () => new Set(inbox.ledger.mails.map(({ tags }) => tags.duebase_email ?? ""));
  await life.days(12);
  const [before, canceledBefore] = [left(), life.cancellations().size];
  await life.backup();
  await life.days(5);
  const between = [...left()].filter((tag) => !before.has(tag));
  const { emails, list, tags } = await life.restore();
  const canceled = life.cancellations().size - canceledBefore;
  console.log(`${between.length} mails and ${canceled} cancellations between, ${list.length} effects listed`);
  expect(canceled).toBeGreaterThan(0);
  expect(life.world.database).not.toBe(database);

  // The list is right: what left is not in it as open, and of what the backup had as pending nothing is missing.
  expect(emails).toMatchObject({ ours: between.length, reachesBack: true });
  expect(emails.performed).toBeGreaterThan(0);
  const open = list.filter(({ outcome, kind }) => kind === "email" && outcome === "open");
  expect(open.filter(({ id }) => between.includes(tags.get(id) ?? ""))).toEqual([]);

  await life.days(6);
  const causes = await life.causes();
  expect([...causes].filter(([, times]) => times > 1)).toEqual([]);
  expect((await life.paid()).filter((cause) => causes.get(cause) !== 1)).toEqual([]);
  const cancellations = [...life.cancellations().values()];
  expect(cancellations.filter((times) => times > 1)).toEqual([]);
}, 3_600_000);
