import { beforeEach, describe, expect, it } from "vitest";
import { createPortalHandler } from "../../../supabase/functions/duebase-portal/handler.ts";
import {
  answerOf,
  OTHER_TEAM_ID,
  request,
  surroundings,
  TEAM_ID,
  TOKEN,
  USER_ID,
} from "./session-requests.ts";

// Shown on the portal; duebase-checkout has the same way in.

let around: ReturnType<typeof surroundings>;
let asked: string[];
let handle: (request: Request) => Promise<Response>;

beforeEach(() => {
  around = surroundings();
  asked = [];
  handle = createPortalHandler({
    ...around.common,
    callStripe: around.callStripe,
    findCustomer: async (owner) => {
      asked.push(owner);
      return { customer: "cus_1", account: null };
    },
  });
});

const manages = (...owners: string[]) => owners.map((owner_id) => ({ owner_id, can_manage: true }));
const isMemberOf = (owner_id: string) => ({ owner_id, can_manage: false });

describe("a user who asks for", () => {
  it("nobody in particular acts for the only owner they manage", async () => {
    await handle(request());
    around.state.owners = [...manages(TEAM_ID), isMemberOf(OTHER_TEAM_ID)];
    await handle(request());
    expect(asked).toEqual([USER_ID, TEAM_ID]);
  });

  it("an owner acts for that one of those they manage", async () => {
    around.state.owners = manages(TEAM_ID, OTHER_TEAM_ID, USER_ID);
    for (const owner_id of [OTHER_TEAM_ID, USER_ID, TEAM_ID.toUpperCase()]) {
      expect((await handle(request({ owner_id }))).status).toBe(200);
    }
    expect(asked).toEqual([OTHER_TEAM_ID, USER_ID, TEAM_ID]);
  });

  it("nobody in particular, and manages several, is told which", async () => {
    around.state.owners = [...manages(OTHER_TEAM_ID, TEAM_ID), isMemberOf(USER_ID)];
    const response = await handle(request());
    expect([response.status, await response.json()]).toEqual([
      400,
      {
        error: {
          code: "owner_required",
          message: expect.stringContaining("owner_id"),
          owners: [OTHER_TEAM_ID, TEAM_ID],
        },
      },
    ]);
    expect(asked).toEqual([]);
  });

  it("an owner they do not manage gets the same answer, whether it is theirs, a stranger's or nobody's", async () => {
    around.state.owners = [...manages(USER_ID), isMemberOf(TEAM_ID)];
    const answers = await Promise.all(
      [TEAM_ID, OTHER_TEAM_ID, "00000000-0000-0000-0000-000000000000"].map(async (owner_id) => {
        const response = await handle(request({ owner_id }));
        return [response.status, await response.text()];
      }),
    );
    expect(new Set(answers.map(String)).size).toBe(1);
    expect(answers[0]).toEqual([403, expect.stringContaining('"not_a_manager"')]);
    expect([asked, around.stripeCalls]).toEqual([[], []]);
  });

  it("anything is refused where they manage nobody, or nobody knows whom", async () => {
    for (const owners of [[], [isMemberOf(TEAM_ID)]]) {
      around.state.owners = owners;
      expect(await answerOf(await handle(request()))).toEqual([403, "not_a_manager"]);
    }
    expect(asked).toEqual([]);
  });

  it.each([
    ["a word", "mine"],
    ["nothing", ""],
    ["null", null],
    ["a list", [TEAM_ID]],
    ["a filter of the database's", `${TEAM_ID}&can_manage=is.false`],
    ["braces", `{${TEAM_ID}}`],
  ])("%s in place of an owner is refused before anybody is asked", async (_what, owner_id) => {
    expect(await answerOf(await handle(request({ owner_id })))).toEqual([400, "invalid_request"]);
    expect([around.state.authCalls, around.ownerCalls]).toEqual([0, []]);
  });
});

describe("the database", () => {
  it("is asked as the user: with their token, and about nobody else", async () => {
    await handle(request({ owner_id: USER_ID }));
    const [call] = around.ownerCalls;
    expect(call?.url.pathname).toBe("/rest/v1/rpc/my_owners");
    expect(call?.headers).toMatchObject({
      apikey: "sb_secret_canary",
      authorization: `Bearer ${TOKEN}`,
      "content-profile": "billing",
    });
    expect(Object.fromEntries(call?.url.searchParams ?? [])).toMatchObject({
      can_manage: "is.true",
      owner_id: `eq.${USER_ID}`,
    });
  });

  it("opens nothing by rows that nobody asked for", async () => {
    around.state.owned = () => Response.json([...manages(OTHER_TEAM_ID), isMemberOf(TEAM_ID)]);
    expect(await answerOf(await handle(request({ owner_id: TEAM_ID })))).toEqual([403, "not_a_manager"]);
    await handle(request());
    expect(asked).toEqual([OTHER_TEAM_ID]);
  });

  it("decides nothing where Auth does not vouch for the user", async () => {
    around.state.owners = manages(TEAM_ID, OTHER_TEAM_ID);
    around.state.auth = () => Response.json({ error_code: "session_not_found" }, { status: 403 });
    const response = await handle(request());
    expect([response.status, await response.text()]).toEqual([401, expect.not.stringContaining(TEAM_ID)]);
    expect(asked).toEqual([]);
  });

  it.each([
    ["cannot verify the token", 401, { code: "PGRST301", message: "canary" }, 401, "not_signed_in"],
    ["finds it has expired", 401, { code: "PGRST303", message: "canary" }, 401, "not_signed_in"],
    ["has no my_owners", 404, { code: "PGRST202" }, 503, "database_misconfigured"],
    ["lets users not call it", 403, { code: "42501" }, 503, "database_misconfigured"],
    ["takes too long", 500, { code: "57014" }, 503, "database_unavailable"],
    ["answers something else", 200, { owner: TEAM_ID }, 503, "database_misconfigured"],
    ["answers rows of something else", 200, [{ owner_id: TEAM_ID }, null], 503, "database_misconfigured"],
  ])("lets nobody act when it %s", async (_what, status, body, answered, code) => {
    around.state.owned = () => Response.json(body, { status });
    expect(await answerOf(await handle(request()))).toEqual([answered, code]);
    expect(asked).toEqual([]);
    expect(around.logged.join()).not.toContain("canary");
  });

  it("that is away is 503 with a time to come back", async () => {
    around.state.owned = () => Promise.reject(new TypeError("fetch failed"));
    const response = await handle(request());
    expect(await answerOf(response)).toEqual([503, "database_unavailable"]);
    expect(response.headers.get("retry-after")).toMatch(/^\d+$/);
  });

  it("is trusted, and the log names who acted for whom", async () => {
    around.state.owners = manages(TEAM_ID);
    await handle(request());
    expect(JSON.parse(around.logged[0] ?? "")).toMatchObject({
      user: USER_ID,
      owner: TEAM_ID,
      outcome: "created",
    });
  });
});
