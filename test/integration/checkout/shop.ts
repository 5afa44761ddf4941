import type Stripe from "stripe";
import { completeCheckout } from "../../../scripts/local/stripe/buyer.ts";
import { createLogger } from "../../../supabase/functions/_duebase/log.ts";
import { connectStripe } from "../../../supabase/functions/_duebase/stripe.ts";
import type { Verdict } from "../../../supabase/functions/duebase-checkout/attempts.ts";
import {
  type CheckoutFacts,
  createCheckoutHandler,
} from "../../../supabase/functions/duebase-checkout/handler.ts";
import { type Harness, secretKey, startHarness } from "../../local-stripe/support/harness.ts";
import { createTestDatabase, type TestDatabase } from "../../support/database.ts";

const APP = "https://app.example.com";

/** A user in a browser. */
export interface Buyer {
  id: string;
  email: string;
  /** The team they buy for, which they manage; left out, they buy for themselves. */
  team?: string;
}

function ownerOf({ id, team }: Buyer): string {
  return team ?? id;
}

/** The checkout function between a database and the local Stripe, without the platform in between. */
export class Shop {
  readonly database: TestDatabase;
  readonly harness: Harness;

  private constructor(database: TestDatabase, harness: Harness) {
    this.database = database;
    this.harness = harness;
  }

  static async open(): Promise<Shop> {
    return new Shop(await createTestDatabase(), await startHarness());
  }

  async close(): Promise<void> {
    await this.harness.close();
    await this.database.drop();
  }

  get stripe(): Stripe {
    return this.harness.stripe;
  }

  async signUp(): Promise<Buyer> {
    const id = await this.database.signUp();
    return { id, email: `${id}@example.com` };
  }

  /** Prices of one new product. */
  async prices(...recurring: Partial<Stripe.PriceCreateParams>[]): Promise<string[]> {
    const product = await this.stripe.products.create({ name: "Studio" });
    const made: string[] = [];
    for (const values of recurring) {
      const { id } = await this.stripe.prices.create({
        currency: "usd",
        unit_amount: 2000,
        product: product.id,
        ...values,
      });
      made.push(id);
    }
    await this.hear();
    return made;
  }

  #heard = new Set<string>();
  /** Receives whatever Stripe has told since the last time. */
  async hear(): Promise<void> {
    const { data } = await this.stripe.events.list({ limit: 100 });
    for (const event of data.reverse()) {
      if (this.#heard.has(event.id)) continue;
      this.#heard.add(event.id);
      await this.database.receive(event as object);
    }
  }

  /** What one tab gets: the address of a page, or a refusal's code. `cut` loses what Stripe answers. */
  async tab(buyer: Buyer, body: object, cut: (path: string) => boolean = () => false): Promise<string> {
    const { sql } = this.database;
    const call = async (statement: Promise<Record<string, unknown>[]>) => (await statement)[0]?.answer;
    const handle = createCheckoutHandler({
      readAddresses: async () => ({ app_url: APP, billing_url: null }),
      verifyUser: async () => buyer,
      readManagedOwners: async () => [ownerOf(buyer)],
      prepare: async (owner, price) =>
        (await call(sql`select billing.prepare_checkout(${owner}, ${price}) as answer`)) as CheckoutFacts,
      begin: async ({ ownerId, userId, scope, wish, request, key }) =>
        (await call(sql`
          select billing.begin_checkout(
            ${ownerId}, ${userId}, ${scope}, ${sql.json(wish as never)}, ${sql.json(request)}, ${key ?? null}
          ) as answer
        `)) as Verdict,
      record: async (attempt, session, url, expiresAt) =>
        (await call(sql`
          select billing.record_checkout(${attempt}, ${session}, ${url}, to_timestamp(${expiresAt})) as answer
        `)) === true,
      close: async (attempt, status) => {
        await call(sql`select billing.close_checkout(${attempt}, ${status}) as answer`);
      },
      callStripe: connectStripe({
        secretKey,
        baseUrl: this.harness.local.url,
        fetch: async (url, init) => {
          const response = await fetch(url, init);
          if (cut(new URL(String(url)).pathname)) throw new Error("the function died here");
          return response;
        },
      }),
      wait: (ms) => new Promise((resolve) => setTimeout(resolve, ms / 10)),
      log: createLogger("duebase-checkout", () => {}),
    });
    const response = await handle(
      new Request("http://localhost/duebase-checkout", {
        method: "POST",
        headers: { authorization: "Bearer a.b.c" },
        body: JSON.stringify({ success_url: "/welcome", cancel_url: "/pricing", ...body }),
      }),
    );
    const answer = (await response.json()) as { url?: string; error?: { code: string } };
    return answer.url ?? answer.error?.code ?? "nothing";
  }

  async pay(url: string, buyer: Buyer): Promise<Stripe.Checkout.Session> {
    const session = await completeCheckout(this.stripe, url.split("/").at(-1) ?? "", { email: buyer.email });
    return session;
  }

  /** Sessions at Stripe that name whom the buyer buys for, by state. */
  async sessionsOf(buyer: Buyer): Promise<Record<string, number>> {
    const { data } = await this.stripe.checkout.sessions.list({ limit: 100 });
    const counts: Record<string, number> = {};
    for (const { client_reference_id, status } of data)
      if (client_reference_id === ownerOf(buyer)) counts[String(status)] = (counts[String(status)] ?? 0) + 1;
    return counts;
  }
}
