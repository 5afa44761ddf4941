import { afterAll } from "vitest";
import { createTestDatabase, type TestDatabase } from "../../support/database.ts";
import {
  type HistoryBreach,
  IN_ORDER,
  sameStateAs,
  stateInvariants,
} from "../../support/histories/invariants.ts";
import { type Play, play } from "../../support/histories/play.ts";
import { SEED } from "../../support/seed.ts";
import { Player } from "../../support/simulation/player.ts";
import { letTeamsPay } from "./teams.ts";

// The histories of any-order, where owners are teams: every id that an object names is an owner's, and no sign-up is
// waited for.

/** DUEBASE_SEED replays a run; DUEBASE_TEAM_HISTORIES makes it longer or shorter. */
const COUNT = Number(process.env.DUEBASE_TEAM_HISTORIES ?? 30);
const [SHUFFLED, PARALLEL] = [1, 2];
const IS_ID = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/;

let database: TestDatabase;
let played: Play;

const player = new Player<Play, HistoryBreach>({
  name: "histories of teams",
  variable: "DUEBASE_TEAM_HISTORIES",
  number: COUNT,
  timeout: 600_000,
  invariants: {
    "shuffled, one by one, ends in the state of the true order": sameStateAs(SHUFFLED),
    "eight at a time ends in the state of the true order": sameStateAs(PARALLEL),
    ...stateInvariants([IN_ORDER, SHUFFLED, PARALLEL]),
  },
  async *play() {
    database = await createTestDatabase();
    await letTeamsPay(database);
    played = await play(database, { seed: SEED, count: COUNT, shuffles: 1, connections: 8 });
    for (const { account } of played.histories) {
      const named = account.ownerHints.map(({ user }) => user.toLowerCase());
      account.users.push(...named.filter((id) => IS_ID.test(id) && !account.users.includes(id)));
    }
    yield played;
  },
  subjectOf: ({ history }) => `seed ${played.histories[history]?.seed}`,
  explain: async () => "",
  figures: () => ({ histories: COUNT, ...played.tally, laps: played.laps }),
});
player.playBeforeAll();
afterAll(() => database?.drop());

player.testInvariants();
