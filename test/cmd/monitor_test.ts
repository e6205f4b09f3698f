/** `serf monitor` beyond the captured calls. */

import assert from "node:assert/strict";
import { dispatch } from "../../cmd/mod.ts";
import { RpcServer } from "../../lib/net/rpc_server.ts";
import { until } from "../net/deadline.ts";
import { FakeTarget } from "../rpc/fake_target.ts";
import { FakeTerminal } from "./fake_terminal.ts";

/** Passes bytes on to an agent, until it freezes: then it takes and gives nothing. */
class FreezableAgent implements Disposable {
  #isFrozen = false;
  readonly #listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  readonly #connections: Deno.Conn[] = [];

  constructor(readonly agentPort: number) {
    this.#accept();
  }

  get port(): number {
    return this.#listener.addr.port;
  }

  freeze(): void {
    this.#isFrozen = true;
  }

  async #accept(): Promise<void> {
    for await (const client of this.#listener) {
      const agent = await Deno.connect({ port: this.agentPort });
      this.#connections.push(client, agent);
      this.#pass(client, agent);
      this.#pass(agent, client);
    }
  }

  async #pass(from: Deno.Conn, to: Deno.Conn): Promise<void> {
    const buffer = new Uint8Array(65_536);
    try {
      for (let size; (size = await from.read(buffer)) !== null;) {
        if (!this.#isFrozen) await to.write(buffer.slice(0, size));
      }
    } catch {
      // Closed by the test or by the command.
    }
  }

  [Symbol.dispose](): void {
    this.#listener.close();
    for (const connection of this.#connections) connection.close();
  }
}

Deno.test("an interrupt ends serf monitor, also when the agent has frozen", async () => {
  const target = new FakeTarget();
  target.backlog = ["2026/01/01 00:00:00 [INFO] agent: here"];
  const server = RpcServer.start({
    target,
    at: { host: "127.0.0.1", port: 0 },
    authKey: "",
  });
  const terminal = new FakeTerminal();
  try {
    using agent = new FreezableAgent(server.port);
    const ended = dispatch(
      ["monitor", `-rpc-addr=127.0.0.1:${agent.port}`],
      terminal,
    );
    await until("it shows the log", () => terminal.stdout.includes("here"));
    agent.freeze();
    terminal.interrupt();
    assert.equal(await ended, 0);
  } finally {
    await server.shutdown();
  }
});
