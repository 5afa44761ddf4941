import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { createTestDatabase, type TestDatabase } from "../../support/database.ts";

const noon = new Date("2027-03-01T12:00:00Z");
const minutes = (count: number) => new Date(noon.getTime() + count * 60_000);

interface Post {
  id: string;
  url: string;
  text: string;
}

let database: TestDatabase;
beforeEach(async () => {
  database = await createTestDatabase();
  await database.sql`update billing.releases set installed_at = ${minutes(-60)} where true`;
  await database.sql`select vault.create_secret('https://functions.test', 'duebase_functions_url')`;
  await database.sql`select vault.create_secret('cron-secret-example', 'duebase_cron_secret')`;
  await database.sql`select billing_private.make_payload_partitions(${noon})`;
});
afterEach(() => database.drop());

const giveAddress = () =>
  database.sql`select vault.create_secret('https://chat.test/hook', 'duebase_alert_webhook_url')`;

/** One tick that does nothing but what the alarms need. */
async function tick(now: Date): Promise<void> {
  await database.sql`update billing.tick_parts set last_tick_at = ${now} where part = 'alarms'`;
  await database.sql`select billing_private.read_outbound_answers(${now})`;
  await database.sql`select billing_private.tell_alarms(${now})`;
}

/** What the database has posted since the last time, and what the other side answers; undefined: nothing yet. */
async function answer(status: number | undefined): Promise<Post[]> {
  const posts = await database.sql<Post[]>`
    with taken as (delete from net.http_request_queue where true returning id, url, convert_from(body, 'UTF8')::jsonb ->> 'text' as text)
    select * from taken order by id`;
  for (const { id } of status === undefined ? [] : posts) {
    await database.sql`insert into net._http_response (id, status_code, headers, timed_out, created) values (${id}, ${status ?? null}, '{}', false, now())`;
  }
  return posts;
}

const breakIt = () =>
  database.sql`select billing_private.record_job_problem('link', 'broken on purpose', ${noon})`;
const mendIt = () => database.sql`select billing_private.record_job_problem('link', null, ${noon})`;

const claim = async (now: Date, way = "duebase-health") => {
  const [row] = await database.asService(
    (sql) =>
      sql<
        { claimed: { title: string; lines: string[]; alarms: number[] } }[]
      >`select billing.claim_alarms(${way}, ${now}) as claimed`,
  );
  return row?.claimed.alarms.length ? row.claimed : null;
};

describe("the tick", () => {
  it("tells what is red once an hour, and once that it is over", async () => {
    await giveAddress();
    await tick(noon);
    expect(await answer(200)).toEqual([]);
    await breakIt();
    const told: [number, string][] = [];
    for (let minute = 1; minute <= 130; minute++) {
      if (minute === 125) await mendIt();
      await tick(minutes(minute));
      for (const post of await answer(200)) told.push([minute, post.text]);
    }
    expect(told.map(([minute]) => minute)).toEqual([1, 61, 121, 125]);
    expect(told[0]?.[1]).toMatch(/^Example App: 1 thing is wrong\nRED jobs: .*link.*To do: .*tick_parts/s);
    expect(told[3]?.[1]).toMatch(/^Example App: 1 alarm is over\nOVER jobs: it was red for 2 hours/);
    const alarms = await database.asService(
      (sql) =>
        sql`select name, times_told, told_by, due_at, began_at, ended_at, end_told_at from billing.alarms`,
    );
    expect(alarms).toEqual([
      {
        name: "jobs",
        times_told: 3,
        told_by: "database",
        due_at: null,
        began_at: minutes(1),
        ended_at: minutes(125),
        end_told_at: minutes(125),
      },
    ]);
  });

  it("tells again what was not taken, and nobody of an end whose beginning was not", async () => {
    await giveAddress();
    await breakIt();
    await tick(minutes(1));
    expect(await answer(500)).toHaveLength(1);
    for (let minute = 2; minute < 7; minute++) {
      await tick(minutes(minute));
      expect(await answer(200), `minute ${minute}`).toEqual([]);
    }
    expect(await database.sql`select told_at, times_told, due_at from billing.alarms`).toEqual([
      { told_at: null, times_told: 0, due_at: minutes(1) },
    ]);
    await tick(minutes(7));
    expect(await answer(404)).toHaveLength(1);
    await mendIt();
    await tick(minutes(8));
    // Only of the address itself.
    expect((await answer(200)).map(({ text }) => text)).toEqual([
      expect.stringMatching(/^Example App: 1 thing is wrong\nRED call-alarms: .* answered 404/),
    ]);
    expect(
      await database.sql`select ended_at, end_told_at, due_at from billing.alarms where name = 'jobs'`,
    ).toEqual([{ ended_at: minutes(8), end_told_at: null, due_at: null }]);
  });

  it("says no more than twice an hour of what comes and goes", async () => {
    await giveAddress();
    let posts = 0;
    for (let minute = 1; minute <= 120; minute++) {
      await (minute % 4 < 2 ? breakIt() : mendIt());
      await tick(minutes(minute));
      posts += (await answer(200)).length;
    }
    expect(posts).toBe(4);
  });

  it("calls nobody and links nowhere, whatever it quotes", async () => {
    await giveAddress();
    await database.sql`update billing.settings set app_name = '<!channel> @everyone [Shop](https://shop.test)' where true`;
    await breakIt();
    await tick(noon);
    const [post] = await answer(200);
    expect(post?.text).toMatch(/^&lt;!channel&gt; @\u200beveryone \[Shop\]\u200b\(https/);
  });
});

describe("what the database could not tell", () => {
  it("another way tells after five minutes, once", async () => {
    // No address in Vault.
    await breakIt();
    await tick(minutes(0));
    await tick(minutes(4));
    expect(await claim(minutes(4))).toBeNull();
    await tick(minutes(6));
    const claimed = await claim(minutes(6));
    expect(claimed).toMatchObject({
      title: "Example App: 1 thing is wrong",
      lines: [/^RED jobs: /].map((line) => expect.stringMatching(line)),
    });
    expect(await claim(minutes(6), "duebase-stripe-webhook")).toBeNull();
    await tick(minutes(7));
    expect(await database.sql`select told_by, times_told from billing.alarms where name = 'jobs'`).toEqual([
      { told_by: "duebase-health", times_told: 1 },
    ]);
  });

  it("is due again where that way fails too", async () => {
    await breakIt();
    await tick(minutes(0));
    await tick(minutes(6));
    const claimed = await claim(minutes(6));
    await database.asService(
      (sql) => sql`select billing.release_alarms(${claimed?.alarms ?? []}, ${minutes(6)})`,
    );
    await tick(minutes(6));
    expect(await claim(minutes(6))).toBeNull();
    await tick(minutes(8));
    expect((await claim(minutes(8)))?.alarms).toEqual(claimed?.alarms);
  });

  it("is looked at by the other way itself where no tick runs", async () => {
    await giveAddress();
    await tick(noon);
    expect(await claim(minutes(4))).toBeNull();
    const claimed = await claim(minutes(6), "duebase-stripe-webhook");
    expect(claimed?.lines).toEqual([
      expect.stringMatching(/^RED tick: the tick last ran 6 minutes ago\. To do: /),
    ]);
    await tick(minutes(7));
    expect((await answer(200)).map(({ text }) => text)).toEqual([
      expect.stringMatching(/\nOVER tick: it was red for/),
    ]);
  });
});
