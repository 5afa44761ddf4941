const longestLink = 2048;

/** The web address in its canonical spelling, or what is wrong with it. */
export function checkLink(link: string): { href: string } | { problem: string } {
  if (link.length > longestLink) return { problem: `a link of more than ${longestLink} characters` };
  let url: URL;
  try {
    url = new URL(link);
  } catch {
    return { problem: "not an absolute URL" };
  }
  if (url.protocol !== "https:" && url.protocol !== "http:") {
    return { problem: `a link must begin with https:// or http://, not ${url.protocol}` };
  }
  if (url.username !== "" || url.password !== "") return { problem: "a link must not carry a password" };
  // Portal sessions die within minutes. The portal's login page (/p/login/…) stays, and is welcome.
  if (url.hostname === "billing.stripe.com" && /^\/(p\/)?session\//.test(url.pathname)) {
    return { problem: "a portal session expires within minutes; link to the application's billing page" };
  }
  return { href: url.href };
}
