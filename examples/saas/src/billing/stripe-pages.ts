import { openCheckout, openPortal, type PortalFlow } from "../../../../client/index.ts";
import { supabase } from "../supabase.ts";
import type { Team } from "../team/use-teams.ts";

/** Stripe's checkout for a price; a price by the seat is bought for everybody who is in the team. */
export function checkoutOf(team: Team, price: string, seats: number | undefined): Promise<string> {
  return openCheckout(supabase, {
    price,
    ownerId: team.id,
    quantity: seats,
    successUrl: "/welcome",
    cancelUrl: "/pricing?left=checkout",
  });
}

/** Stripe's portal, or one task in it, and back to the billing page. */
export function portalOf(team: Team, flow?: PortalFlow, subscription?: string): Promise<string> {
  return openPortal(supabase, { ownerId: team.id, returnUrl: "/billing", flow, subscription });
}
