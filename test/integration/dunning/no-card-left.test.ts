import { expect, it } from "vitest";
import { HOUR, START, ToldDatabase, told, unpaid } from "./told.ts";

it("a subscription that goes over to its customer's default, where there is none, is charged to nothing", async () => {
  const own = told({ default_payment_method: "pm_ToldOwn" });
  const database = await ToldDatabase.open(own);
  try {
    await database.tell("invoice.payment_failed", START + HOUR, unpaid());
    await database.tell(
      "customer.subscription.updated",
      START + 2 * HOUR,
      told({ default_payment_method: null }),
      own,
    );
    const failed = await database.database.sql`select event_id, error from billing.failed_webhooks`;
    expect(failed).toEqual([]);
    expect(await database.database.sql`select from billing.dunning_charges`).toHaveLength(0);
  } finally {
    await database.close();
  }
});
