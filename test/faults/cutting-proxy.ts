import { once } from "node:events";
import { type AddressInfo, connect, createServer, type Server, type Socket } from "node:net";

/**
 * Where a connection is cut: before any part of a request got through, in the middle of it, or when the answer begins. By
 * then everything that the request asked for has been done.
 */
export type Cut = "before" | "midway" | "at answer";

/** A TCP proxy on loopback that breaks connections as networks do, and knows where a request and an answer begin. */
export class CuttingProxy {
  /** The port requests are handed to; may be set after the proxy listens. */
  target = 0;
  /** Asked once a request: whether, and where, to cut it. Never, until replaced. */
  decide: () => Cut | undefined = () => undefined;
  /** Cuts made so far. */
  readonly cuts: Cut[] = [];
  readonly #server: Server;
  readonly #sockets = new Set<Socket>();

  private constructor() {
    this.#server = createServer((client) => this.#serve(client));
  }

  static async listen(): Promise<CuttingProxy> {
    const proxy = new CuttingProxy();
    proxy.#server.listen(0, "127.0.0.1");
    await once(proxy.#server, "listening");
    return proxy;
  }

  get url(): string {
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  async close(): Promise<void> {
    for (const socket of this.#sockets) socket.destroy();
    this.#server.close();
    await once(this.#server, "close");
  }

  #serve(client: Socket): void {
    const upstream = connect({ port: this.target, host: "127.0.0.1" });
    for (const socket of [client, upstream]) {
      this.#sockets.add(socket);
      socket.setNoDelay();
      socket.on("error", () => {});
      socket.on("close", () => {
        this.#sockets.delete(socket);
        client.destroy();
        upstream.destroy();
      });
    }
    // Neither side pipelines, so what a client sends after an answer begins a new request.
    let isAnswered = true;
    let plan: Cut | undefined;
    const cut = (where: Cut) => {
      this.cuts.push(where);
      client.destroy();
      upstream.destroy();
    };
    client.on("data", (chunk) => {
      if (isAnswered) {
        isAnswered = false;
        plan = this.decide();
      }
      if (plan === "before") return cut(plan);
      if (plan !== "midway") return void upstream.write(chunk);
      client.pause();
      upstream.write(chunk.subarray(0, Math.ceil(chunk.length / 2)), () => cut("midway"));
    });
    upstream.on("data", (chunk) => {
      isAnswered = true;
      if (plan === "at answer") cut(plan);
      else client.write(chunk);
    });
  }
}
