import { expect, it } from "vitest";
import { createAlarmTeller } from "../../../supabase/functions/_duebase/alarms.ts";
import { AlertNotTakenError } from "../../../supabase/functions/_duebase/alert-webhook.ts";
import type { CallBilling } from "../../../supabase/functions/_duebase/database.ts";
import { DatabaseUnavailableError } from "../../../supabase/functions/_duebase/errors.ts";
import type { LogFields } from "../../../supabase/functions/_duebase/log.ts";

const due = { title: "Example: 1 thing is wrong", lines: ["RED tick: no tick for 6 minutes."], alarms: [7] };

function teller({
  claims = [due] as unknown[],
  post = async () => {},
  release = async () => 1 as unknown,
  hasAddress = true,
} = {}) {
  const calls: string[] = [];
  const posted: string[] = [];
  const logged: LogFields[] = [];
  let now = 0;
  const tell = createAlarmTeller("duebase-stripe-webhook", {
    callBilling: (async (name: string, args: string) => {
      calls.push(`${name} ${args}`);
      if (name === "release_alarms") return await release();
      const answer = claims.shift() ?? { alarms: [] };
      if (answer instanceof Error) throw answer;
      return answer;
    }) as CallBilling,
    postAlert: hasAddress
      ? async (text) => {
          posted.push(text);
          await post();
        }
      : undefined,
    log: (_level, fields) => logged.push(fields),
    now: () => now,
  });
  return { tell, calls, posted, logged, pass: (milliseconds: number) => (now += milliseconds) };
}

it("posts what the database should have told, in one message", async () => {
  const { tell, calls, posted, logged } = teller();
  await tell();
  expect(calls).toEqual(['claim_alarms {"p_way":"duebase-stripe-webhook"}']);
  expect(posted).toEqual(["Example: 1 thing is wrong\nRED tick: no tick for 6 minutes."]);
  expect(logged).toMatchObject([{ outcome: "alarms_told", counts: { alarms: 1 } }]);
});

it("posts nothing where nothing is due", async () => {
  const { tell, posted, logged } = teller({ claims: [{ alarms: [] }] });
  await tell();
  expect([posted, logged]).toEqual([[], []]);
});

it("asks the database once a minute, however many requests come", async () => {
  const { tell, calls, pass } = teller({ claims: [] });
  await Promise.all(Array.from({ length: 50 }, () => tell()));
  pass(59_999);
  await tell();
  expect(calls).toHaveLength(1);
  pass(1);
  await tell();
  expect(calls).toHaveLength(2);
});

it("claims nothing where there is no address: nothing may count as told", async () => {
  const { tell, calls } = teller({ hasAddress: false });
  await tell();
  expect(calls).toEqual([]);
});

it("gives back what was not taken", async () => {
  const { tell, calls, logged } = teller({
    post: async () => {
      throw new AlertNotTakenError(500);
    },
  });
  await tell();
  expect(calls.at(-1)).toBe('release_alarms {"p_alarms":[7]}');
  expect(logged).toMatchObject([{ outcome: "alarms_not_told" }]);
});

it.each<[string, Parameters<typeof teller>[0]]>([
  ["the database does not answer", { claims: [new DatabaseUnavailableError({})] }],
  ["the database answers something else", { claims: ["no object"] }],
  [
    "neither the webhook nor the database answers",
    {
      post: () => Promise.reject(new TypeError("fetch failed")),
      release: () => Promise.reject(new DatabaseUnavailableError({})),
    },
  ],
])("never rejects: %s", async (_what, broken) => {
  const { tell, logged } = teller(broken);
  await tell();
  expect(logged).toHaveLength(1);
});
