import { describe, expect, it } from "vitest";
import {
  type AppAddresses,
  appOrigins,
  homeOf,
  safeReturnUrl,
} from "../../../supabase/functions/_duebase/return-url.ts";

const addresses: AppAddresses = {
  app_url: "https://app.example.com",
  billing_url: "https://billing.example.com/account",
};
const read = (value: unknown, at = addresses) => safeReturnUrl(value, "return_url", at);

describe("an address to come back to", () => {
  it.each([
    ["https://app.example.com/settings?tab=plan#card", "https://app.example.com/settings?tab=plan#card"],
    ["https://billing.example.com", "https://billing.example.com/"],
    ["HTTPS://APP.EXAMPLE.COM/a", "https://app.example.com/a"],
    ["https://app.example.com:443/a", "https://app.example.com/a"],
    ["/done?s={CHECKOUT_SESSION_ID}", "https://billing.example.com/done?s={CHECKOUT_SESSION_ID}"],
    ["/a/../b", "https://billing.example.com/b"],
    ["/", "https://billing.example.com/"],
    // Only a query: it stays on the application's page, whose own business it is.
    ["/login?next=https://evil.example", "https://billing.example.com/login?next=https://evil.example"],
  ])("is taken when it is the application's: %s", (value, understood) => {
    expect(read(value)).toBe(understood);
  });

  it.each([
    ["another host", "https://evil.example/"],
    ["a host that begins like it", "https://app.example.com.evil.example/"],
    ["a host that ends like it", "https://evilapp.example.com/"],
    ["a subdomain", "https://x.app.example.com/"],
    ["its parent", "https://example.com/"],
    ["another port", "https://app.example.com:8443/"],
    ["no encryption", "http://app.example.com/"],
    ["the host as a user's name", "https://app.example.com@evil.example/"],
    ["the host as name and password", "https://app.example.com:443@evil.example/"],
    ["a name before the right host", "https://somebody@app.example.com/"],
    ["a password before the right host", "https://:secret@app.example.com/"],
    ["no scheme", "//evil.example/"],
    ["more slashes", "///evil.example/"],
    ["backslashes", "\\\\evil.example/"],
    ["a slash and a backslash", "/\\evil.example/"],
    ["a backslash in the host", "https://evil.example\\@app.example.com/"],
    ["a backslash before the host", "https:\\\\app.example.com/"],
    ["a tab between the slashes", "/\t/evil.example/"],
    ["a line break in the scheme", "ht\ntps://evil.example"],
    ["a blank before", " https://app.example.com/"],
    ["a NUL", "https://app.example.com/\u0000"],
    ["the right host, but no scheme", "//app.example.com/"],
    ["the right host after one slash", "https:/app.example.com/"],
    ["the right host after no slash", "https:app.example.com/"],
    ["one slash after the scheme", "https:/evil.example"],
    ["no slash after the scheme", "https:evil.example"],
    ["javascript", "javascript:alert(1)"],
    ["data", "data:text/html,hello"],
    ["javascript with the host in it", "javascript://app.example.com/%0aalert(1)"],
    ["a bare path", "account"],
    ["a bare host", "app.example.com/account"],
    ["an ideographic full stop", "https://app.example.com。evil.example/"],
    ["a fullwidth slash", "https://app.example.com／@evil.example/"],
    ["nothing", ""],
    ["too much", `https://app.example.com/${"a".repeat(2048)}`],
    ["no string", 1],
    ["null", null],
    ["an array of one", ["https://app.example.com/"]],
  ])("is refused with %s", (_what, value) => {
    expect(() => read(value)).toThrow(
      expect.objectContaining({
        code: "invalid_url",
        status: 400,
        message: expect.stringContaining("return_url"),
      }),
    );
  });
});

describe("the application's origins", () => {
  it.each(["http://localhost:3000", "http://127.0.0.1:5173", "http://[::1]:3000", "http://app.localhost"])(
    "may be %s, as that is this very machine",
    (app_url) => {
      const at = { app_url, billing_url: null };
      expect(appOrigins(at)).toEqual([app_url]);
      expect(read("/a", at)).toBe(`${app_url}/a`);
    },
  );

  it.each(["http://app.example.com", "http://localhost.evil.example", "http://", "ftp://app.example.com"])(
    "are not %s: somebody has to put that right",
    (app_url) => {
      expect(() => read("/a", { app_url, billing_url: null })).toThrow(
        expect.objectContaining({ code: "settings_misconfigured", status: 503 }),
      );
    },
  );

  it("are two where the billing page is elsewhere, and paths lead to the billing page", () => {
    expect(appOrigins(addresses)).toEqual(["https://billing.example.com", "https://app.example.com"]);
    expect(homeOf(addresses)).toBe("https://billing.example.com/account");
    expect(homeOf({ ...addresses, billing_url: null })).toBe("https://app.example.com/");
    expect(homeOf({ ...addresses, billing_url: "http://billing.example.com" })).toBe(
      "https://app.example.com",
    );
  });
});
