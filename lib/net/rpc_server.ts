/**
 * The agent's RPC port: a listener, and one connection for each client.
 *
 * What happens on a connection is in `rpc_connection.ts`, the protocol in
 * `lib/rpc/server_session.ts`, and what the requests mean in the agent, which is
 * the `RpcTarget`. Source: serf, `ipc.go`.
 */

import { Metrics } from "../kit/metrics.ts";
import { RpcErrorText } from "../rpc/protocol.ts";
import { RPC_METRICS, type RpcMetrics } from "./metrics.ts";
import { closeQuietly, Connection } from "./rpc_connection.ts";
import type { RpcTarget } from "./rpc_target.ts";
import {
  peerOf,
  type RpcConn,
  type RpcEndpoint,
  RpcListener,
} from "./rpc_endpoint.ts";
import { systemErrorText } from "./system_error.ts";

export type { RpcTarget } from "./rpc_target.ts";

export interface RpcServerOptions {
  readonly target: RpcTarget;
  /** Port 0 takes any free one. */
  readonly at: RpcEndpoint;
  /** The token that clients must show; empty for none. */
  readonly authKey: string;
  /** Where to count; absent, in one of its own. */
  readonly metrics?: Metrics;
}

/** Clients served at once; further ones are told so, and go. */
export const CONNECTIONS_MAX = 1_024;
/** Clients that are being told so at once; further ones are closed without a word. */
export const REFUSALS_MAX = 64;
/** First and longest pause after a failed accept, ms; doubles in between. */
const ACCEPT_PAUSE_MIN_MS = 5;
const ACCEPT_PAUSE_MAX_MS = 1_000;

export class RpcServer {
  /** What is listened on. */
  readonly endpoint: RpcEndpoint;

  readonly #target: RpcTarget;
  readonly #authKey: string;
  readonly #counts: RpcMetrics;
  readonly #listener: RpcListener;
  readonly #connections = new Set<Connection>();
  readonly #refused = new Set<Connection>();
  readonly #unsubscribe: () => void;
  #isShutDown = false;

  /** @throws the system's error when the address cannot be listened on */
  static start(options: RpcServerOptions): RpcServer {
    return new RpcServer(options);
  }

  private constructor(options: RpcServerOptions) {
    this.#target = options.target;
    this.#authKey = options.authKey;
    this.#counts = (options.metrics ?? new Metrics()).of(RPC_METRICS);
    this.#listener = RpcListener.open(options.at);
    this.endpoint = this.#listener.endpoint;
    this.#unsubscribe = this.#target.subscribeEvents((event) => {
      for (const connection of this.#connections) connection.offerEvent(event);
    });
    this.#acceptAll();
  }

  /** The port that is listened on; 0 for a socket in the file system. */
  get port(): number {
    return "port" in this.endpoint ? this.endpoint.port : 0;
  }

  /** Clients that are served. */
  get connectionCount(): number {
    return this.#connections.size;
  }

  /**
   * Closes the port and all connections.
   *
   * Answers that are ready, and the one to a leave, may still go out first.
   */
  async shutdown(): Promise<void> {
    if (this.#isShutDown) return;
    this.#isShutDown = true;
    this.#unsubscribe();
    this.#listener.close();
    const connections = [...this.#connections, ...this.#refused];
    await Promise.all(connections.map((each) => each.shutdown()));
  }

  async #acceptAll(): Promise<void> {
    let pauseMs = ACCEPT_PAUSE_MIN_MS;
    while (!this.#isShutDown) {
      try {
        const conn = await this.#listener.accept();
        // It came while the port was being closed.
        if (this.#isShutDown) return closeQuietly(conn);
        this.#admit(conn);
        pauseMs = ACCEPT_PAUSE_MIN_MS;
      } catch (error) {
        if (this.#isShutDown) return;
        const reason = systemErrorText(error);
        this.#target.log(
          "ERR",
          `agent.ipc: Failed to accept client: ${reason}`,
        );
        await new Promise((done) => setTimeout(done, pauseMs));
        pauseMs = Math.min(2 * pauseMs, ACCEPT_PAUSE_MAX_MS);
      }
    }
  }

  #admit(conn: RpcConn): void {
    const peer = peerOf(conn, this.endpoint);
    if (this.#connections.size < CONNECTIONS_MAX) {
      this.#counts.accepts.add();
      this.#target.log("INFO", `agent.ipc: Accepted client: ${peer}`);
      this.#start(conn, { peer, among: this.#connections });
      return;
    }
    this.#counts.refusals.add();
    this.#target.log("WARN", `agent.ipc: Too many clients, refused: ${peer}`);
    const refusal = RpcErrorText.tooManyClients;
    if (this.#refused.size >= REFUSALS_MAX) closeQuietly(conn);
    else this.#start(conn, { peer, refusal, among: this.#refused });
  }

  #start(
    conn: RpcConn,
    options: { peer: string; refusal?: string; among: Set<Connection> },
  ): void {
    const { among, ...rest } = options;
    const connection = new Connection(conn, {
      target: this.#target,
      authKey: this.#authKey,
      commands: this.#counts.commands,
      ...rest,
      onEnd: () => among.delete(connection),
    });
    among.add(connection);
    connection.start();
  }
}
