import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Browser, BrowserContext, Page } from "playwright-core";
import postgres from "postgres";
import { launchChromium } from "../../../emails/preview/photograph.ts";
import { type Example, startExample } from "../../../examples/saas/local/start.ts";
import { cronCall } from "../../../scripts/local/cron-call.ts";
import { advanceClock } from "../../../scripts/local/stripe/buyer.ts";
import { eventually } from "../../support/stack-project.ts";
import { problemsOf } from "./accessibility.ts";

export const DAY_S = 86_400;
/** How long a page may take to show what it is waited for; a busy machine is slow. */
const PATIENCE_MS = 20_000;
/** Beyond all clocks of these tests: a token that is renewed by the browser's clock is renewed for ever. */
const SESSION_S = 400 * DAY_S;

/** The example on a stack of its own, and a browser. */
export class BrowserWorld {
  readonly example: Example;
  readonly browser: Browser;
  readonly sql: postgres.Sql;
  readonly #directory: string;
  /** Where the clocks of Stripe's customers, the browser and the pages' questions stand; Unix seconds. */
  now = Math.floor(Date.now() / 1000);
  readonly #people: Person[] = [];

  private constructor(example: Example, browser: Browser, directory: string) {
    this.example = example;
    this.browser = browser;
    this.#directory = directory;
    this.sql = postgres(example.stack.status.DB_URL, { max: 2, onnotice: () => {} });
  }

  static async open(): Promise<BrowserWorld> {
    const directory = await mkdtemp(join(tmpdir(), "duebase-example-"));
    const ports = { api: 0, db: 0, studio: 0, inbox: 0, stripe: 0 };
    const [example, browser] = await Promise.all([
      startExample({ serve: "built", directory, ports, port: 0, fsync: false, watch: false }),
      launchChromium(),
    ]);
    const world = new BrowserWorld(example, browser, directory);
    // The clock is turned by hand here, and so is the daily run.
    await world.sql`select cron.unschedule('duebase-dunning')`;
    await world.sql`delete from billing.tick_parts where part = 'dunning-watchdog'`;
    return world;
  }

  /** A browser of somebody's own. */
  async person(email: string, options: { locale?: string } = {}): Promise<Person> {
    const context = await this.browser.newContext({
      baseURL: this.example.url,
      viewport: { width: 1280, height: 900 },
      locale: options.locale ?? "en-US",
      timezoneId: "UTC",
    });
    context.setDefaultTimeout(PATIENCE_MS);
    const person = new Person(this, context, await context.newPage(), email);
    await person.followClock();
    this.#people.push(person);
    return person;
  }

  /** Gives a team a customer whose time is turned by hand: a checkout then uses it. */
  async customerOnClock(team: string, email: string): Promise<{ clock: string; customer: string }> {
    const { stripe } = this.example;
    const clock = await stripe.testHelpers.testClocks.create({ frozen_time: this.now });
    const customer = await stripe.customers.create({
      email,
      test_clock: clock.id,
      metadata: { owner_id: team },
    });
    await this.settled();
    return { clock: clock.id, customer: customer.id };
  }

  /** Turns every clock. */
  async advance(clock: string, to: number): Promise<void> {
    this.now = to;
    for (const person of this.#people) await person.setClock();
    await advanceClock(this.example.stripe, clock, to);
    await this.settled();
  }

  /** The daily run of dunning, by the clock of these tests. */
  async runDunning(): Promise<void> {
    const options = { wait: true, now: new Date(this.now * 1000).toISOString() };
    const url = `${this.example.stack.status.FUNCTIONS_URL}/duebase-dunning`;
    const response = await fetch(url, cronCall("duebase-dunning", options));
    if (!response.ok) throw new Error(`dunning answered ${response.status}: ${await response.text()}`);
    await this.settled();
  }

  /** All events have arrived, and all mails and calls are done that are due now. */
  async settled(): Promise<void> {
    const { stripe } = this.example.stack;
    await stripe.settled();
    await this.sql`select billing_private.wake_deliver(now())`;
    await eventually(
      "what is due is done",
      async () => {
        const rows = await this.sql`
        select from billing.outbox where status = 'claimed' or (status = 'pending' and run_after <= now())`;
        return rows.length === 0;
      },
      60_000,
    );
    await stripe.settled();
  }

  async close(): Promise<void> {
    await this.browser.close();
    await this.sql.end();
    await this.example.stop();
    await rm(this.#directory, { recursive: true, force: true });
  }
}

/** Somebody at a browser. */
export class Person {
  readonly world: BrowserWorld;
  readonly context: BrowserContext;
  readonly page: Page;
  readonly email: string;

  constructor(world: BrowserWorld, context: BrowserContext, page: Page, email: string) {
    this.world = world;
    this.context = context;
    this.page = page;
    this.email = email;
  }

  /** The browser's date, the time at which overdue payments are asked for and the session's end follow the tests' clock. */
  async followClock(): Promise<void> {
    await this.setClock();
    await this.context.route("**/rest/v1/rpc/my_billing_status", (route) =>
      route.continue({ postData: JSON.stringify({ p_now: new Date(this.world.now * 1000).toISOString() }) }),
    );
    await this.context.route(/\/auth\/v1\/(token|signup)/, async (route) => {
      const response = await route.fetch();
      const session = await response.json();
      if (session.expires_at) session.expires_at += SESSION_S;
      await route.fulfill({ response, json: session });
    });
  }

  async setClock(): Promise<void> {
    await this.context.clock.setFixedTime(new Date(this.world.now * 1000));
  }

  async signUp(): Promise<void> {
    await this.page.goto("/");
    await this.page.getByRole("button", { name: /^(No account|Noch kein)/ }).click();
    await this.page.getByLabel(/^(Email|E-Mail)/).fill(this.email);
    await this.page.getByLabel(/^(Password|Passwort)/).fill("an example of a password");
    await this.page.getByRole("button", { name: /^(Sign up|Registrieren)$/ }).click();
  }

  /** Makes the first team, and returns its id. */
  async createTeam(name: string): Promise<string> {
    await this.page.getByLabel(/^(Team name|Name des Teams)/).fill(name);
    await this.page.getByRole("button", { name: /^(Create team|Team anlegen)$/ }).click();
    await this.page.getByRole("navigation").waitFor();
    const [team] = await this.world.sql<{ id: string }[]>`select id from public.teams where name = ${name}`;
    if (!team) throw new Error(`there is no team ${name}`);
    return team.id;
  }

  /** Follows a link of the application's navigation. */
  async open(name: "Reports" | "Pricing" | "Billing" | "Team"): Promise<void> {
    await this.page.getByRole("navigation").getByRole("link", { name, exact: true }).click();
    await this.page.getByRole("heading", { level: 1 }).waitFor();
  }

  /** Chooses a plan; as a person does, looks at the page again where it did not come, at most twice. */
  async choose(plan: string): Promise<void> {
    const button = this.page.getByRole("button", { name: `Choose ${plan}` });
    for (let tries = 1; ; tries++) {
      await this.open("Pricing");
      try {
        return await button.click();
      } catch (error) {
        if (tries === 3)
          throw new Error(`no plan to choose on: ${await this.page.textContent("body")}`, { cause: error });
        console.log(`looked again at ${this.page.url()}: ${await this.page.textContent("body")}`);
        await this.page.reload();
      }
    }
  }

  /** Pays on Stripe's checkout page. */
  async pay(card?: string): Promise<void> {
    await this.page.getByRole("heading", { name: "Check out" }).waitFor();
    if (card) await this.page.getByLabel("Card").selectOption(card);
    await this.page.getByRole("button", { name: "Pay" }).click();
  }

  async sees(text: string | RegExp, on: Page = this.page): Promise<void> {
    await on.getByText(text).first().waitFor();
  }

  /** What assistive technology would stumble over on the page, in light and dark, and whether it fits 320 px. */
  async problems(name: string): Promise<string[]> {
    return problemsOf(this.page, name);
  }
}
