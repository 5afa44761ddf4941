import { html } from "hono/html";

/** Markup that `html` has made safe. */
export type Markup = ReturnType<typeof html>;

const style = `
  :root { color-scheme: light dark; font: 16px/1.5 system-ui, sans-serif; }
  body { margin: 0; display: grid; place-items: center; min-height: 100vh; background: light-dark(#f4f5f7, #16181d); }
  main { width: min(30rem, calc(100vw - 2rem)); margin: 2rem 0; padding: 1.5rem 2rem 2rem; border-radius: 12px;
    background: light-dark(#fff, #22252c); box-shadow: 0 1px 3px #0003; }
  h1 { font-size: 1.25rem; margin: 0 0 1rem; }
  p.note { color: light-dark(#5b6472, #a0a8b5); font-size: .85rem; }
  p.error { color: light-dark(#a3121f, #ff8f96); }
  table { width: 100%; border-collapse: collapse; margin: 1rem 0; }
  td { padding: .35rem 0; border-top: 1px solid light-dark(#e3e6ea, #363b45); }
  td:last-child { text-align: right; font-variant-numeric: tabular-nums; }
  label { display: block; margin: .75rem 0; }
  input, select { box-sizing: border-box; width: 100%; padding: .5rem; font: inherit; }
  button { width: 100%; padding: .65rem; margin-top: .75rem; border: 0; border-radius: 8px; font: inherit;
    color: #fff; background: #4f46e5; cursor: pointer; }
  button.plain { color: inherit; background: light-dark(#e8eaee, #343943); }
`;

/** A page of the local Stripe; it says that it is one. */
export function page(title: string, body: Markup): Markup {
  return html`<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>${title}</title>
<style>${style}</style>
</head>
<body><main>
<p class="note">Local Stripe · test mode · no money moves</p>
<h1>${title}</h1>
${body}
</main></body>
</html>`;
}

/** A day, in UTC. */
export function dayOf(seconds: number | null): string {
  if (seconds === null) return "—";
  return new Intl.DateTimeFormat("en-GB", { dateStyle: "medium", timeZone: "UTC" }).format(seconds * 1000);
}

/** Cards a person at the page can choose from. */
const choices: [string, string][] = [
  ["pm_card_visa", "4242 4242 4242 4242: pays"],
  ["pm_card_chargeCustomerFail", "4000 0000 0000 0341: is saved, then declined"],
  ["pm_card_chargeDeclined", "4000 0000 0000 0002: declined"],
  ["pm_card_chargeDeclinedInsufficientFunds", "4000 0000 0000 9995: insufficient funds"],
  ["pm_card_authenticationRequired", "4000 0027 6000 3184: asks for 3-D Secure each time"],
  ["pm_card_createDispute", "4000 0000 0000 0259: pays, then is disputed"],
];

/** The field that chooses a card. */
export function cardChoice(): Markup {
  return html`<label>Card
<select name="payment_method">${choices.map(([value, label]) => html`<option value="${value}">${label}</option>`)}</select>
</label>`;
}

/** What went wrong with the last try. */
export function errorNote(message: string | null): Markup | string {
  return message === null ? "" : html`<p class="error" role="alert">${message}</p>`;
}
