import { afterEach, expect, it } from "vitest";
import { SEED } from "../../support/seed.ts";
import { RestoredLife } from "./restored-life.ts";

// `npm run soak` plays many people: some 200 mails and 40 calls leave between backup and restore.
const people = Number(process.env.DUEBASE_RESTORED_PEOPLE ?? 4);

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
  await life.days(8);
  const before = left();
  await life.backup();
  await life.days(4);
  const between = [...left()].filter((tag) => !before.has(tag));
  const { emails, list, tags } = await life.restore();
  console.log(`${between.length} mails left between, ${list.length} effects listed`);
  expect(life.world.database).not.toBe(database);

  // The list is right: what left is not in it as open, and of what the backup had as pending nothing is missing.
  expect(emails).toMatchObject({ ours: between.length, reachesBack: true });
  expect(emails.performed).toBeGreaterThan(0);
  const open = list.filter(({ outcome, kind }) => kind === "email" && outcome === "open");
  expect(open.filter(({ id }) => between.includes(tags.get(id) ?? ""))).toEqual([]);

  await life.days(7);
  const causes = await life.causes();
  expect([...causes].filter(([, times]) => times > 1)).toEqual([]);
  expect((await life.paid()).filter((cause) => causes.get(cause) !== 1)).toEqual([]);
  const cancellations = [...life.cancellations().values()];
  expect(cancellations.filter((times) => times > 1)).toEqual([]);
  expect(cancellations.length).toBeGreaterThan(0);
}, 3_600_000);
