const LEFT = "example:left-for-stripe";

/** Notes that this tab goes to a page at Stripe. */
export function noteLeaving(): void {
  sessionStorage.setItem(LEFT, "yes");
}

/** Whether this tab has come back from Stripe; true once a return. */
export function takeReturn(): boolean {
  const left = sessionStorage.getItem(LEFT) !== null;
  sessionStorage.removeItem(LEFT);
  return left;
}
