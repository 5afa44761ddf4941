import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { connectAlerts } from "../../../supabase/functions/_duebase/alert-webhook.ts";
import { runInDeno } from "./served-function.ts";

/** A chat webhook that takes the first alert, keeps the connection, and hangs up on whatever comes then. */
let server: Server;
let url: string;
let posted: string[];
beforeEach(async () => {
  posted = [];
  server = createServer((request, response) => {
    let body = "";
    request.on("data", (chunk) => {
      body += chunk;
    });
    request.on("end", () => {
      posted.push(JSON.parse(body).text);
      if (posted.length === 1) response.end("ok");
      else request.socket.destroy();
    });
  });
  await new Promise<void>((listening) => server.listen(0, "127.0.0.1", listening));
  url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/`;
});
afterEach(() => {
  server.closeAllConnections();
  server.close();
});

describe("an alert on the operator's webhook", () => {
  it("goes out once an attempt under Deno, also where the connection of the one before breaks", {
    timeout: 30_000,
  }, async () => {
    const printed = await runInDeno(`
      const { connectAlerts } = await import("./supabase/functions/_duebase/alert-webhook.ts");
      const post = connectAlerts(${JSON.stringify(url)});
      await post("first");
      await post("second").catch(() => console.log("not taken"));
    `);
    expect(printed).toBe("not taken");
    expect(posted).toEqual(["first", "second"]);
  });

  it("goes out once an attempt under Node", async () => {
    const post = connectAlerts(url);
    await post("first");
    await expect(post("second")).rejects.toThrow();
    expect(posted).toEqual(["first", "second"]);
  });
});

it("Deno repeats a POST by itself where it keeps connections: that is what is kept from it", {
  timeout: 30_000,
}, async () => {
  await runInDeno(`
    const post = (text) => fetch(${JSON.stringify(url)}, { method: "POST", body: JSON.stringify({ text }) });
    await (await post("first")).text();
    await post("second").catch(() => {});
  `);
  expect(posted).toEqual(["first", "second", "second"]);
});
