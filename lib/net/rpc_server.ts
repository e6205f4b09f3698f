/**
 * The agent's RPC port: a listener, and one connection for each client.
 *
 * Everybody who reaches the port can open connections, send garbage and guess.
 * Such strangers have a share of the places, of the log and of the tokens that are
 * compared; see `lib/rpc/limits.ts`.
 *
 * What happens on a connection is in `rpc_connection.ts`, the protocol in
 * `lib/rpc/server_session.ts`, and what the requests mean in the agent, which is
 * the `RpcTarget`. Source: serf, `ipc.go`.
 */

import { Metrics } from "../kit/metrics.ts";
import { sourceOfIp } from "../kit/source.ts";
import { ClientPlaces } from "../rpc/client_places.ts";
import { RPC_LIMITS, type RpcLimits } from "../rpc/limits.ts";
import { RpcErrorText } from "../rpc/protocol.ts";
import { TokenGate } from "../rpc/token_gate.ts";
import { ClientLines } from "./client_lines.ts";
import { monotonicMs } from "./clock.ts";
import { acceptAll } from "./accept_loop.ts";
import { RPC_METRICS, type RpcMetrics } from "./metrics.ts";
import { closeQuietly, Connection } from "./rpc_connection.ts";
import type { RpcTarget } from "./rpc_target.ts";
import type { RpcConn, RpcEndpoint } from "./rpc_endpoint.ts";
import { peerOf, RpcListener } from "./rpc_listener.ts";
import { systemErrorText } from "./system_error.ts";
import { plainHost } from "./system_address.ts";
import { TroubleLog } from "./trouble_log.ts";

export type { RpcTarget } from "./rpc_target.ts";

export interface RpcServerOptions {
  readonly target: RpcTarget;
  /** Port 0 takes any free one. */
  readonly at: RpcEndpoint;
  /** The token that clients must show; empty for none. */
  readonly authKey: string;
  /** Where to count; absent, in one of its own. */
  readonly metrics?: Metrics;
  /** What clients may cost; `RPC_LIMITS` unless given. */
  readonly limits?: RpcLimits;
}

/** Clients that are being told so at once; further ones are closed without a word. */
export const REFUSALS_MAX = 64;
/** How often waiting tokens are looked after, ms. */
const GATE_INTERVAL_MS = 20;

export class RpcServer {
  /** What is listened on. */
  readonly endpoint: RpcEndpoint;

  readonly #target: RpcTarget;
  readonly #authKey: string;
  readonly #counts: RpcMetrics;
  readonly #limits: RpcLimits;
  readonly #lines: ClientLines;
  readonly #listener: RpcListener;
  readonly #places: ClientPlaces<Connection>;
  readonly #gate: TokenGate<Connection>;
  #gateTimer: ReturnType<typeof setTimeout> | undefined;
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
    this.#limits = options.limits ?? RPC_LIMITS;
    this.#places = new ClientPlaces(this.#limits);
    this.#gate = new TokenGate(this.#limits);
    this.#lines = new ClientLines({
      log: (level, text) => this.#target.log(level, text),
      unlogged: this.#counts.unloggedLines,
      limits: this.#limits,
    });
    this.#listener = RpcListener.open(options.at);
    this.endpoint = this.#listener.endpoint;
    this.#unsubscribe = this.#target.subscribeEvents((event) => {
      for (const client of this.#places.admitted) client.offerEvent(event);
    });
    this.#acceptAll();
  }

  /** The port that is listened on; 0 for a socket in the file system. */
  get port(): number {
    return "port" in this.endpoint ? this.endpoint.port : 0;
  }

  /** Clients that are served. */
  get connectionCount(): number {
    return this.#places.size;
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
    clearTimeout(this.#gateTimer);
    const connections = [...this.#places.all(), ...this.#refused];
    await Promise.all(connections.map((each) => each.shutdown()));
    this.#lines.close();
  }

  async #acceptAll(): Promise<void> {
    const troubles = new TroubleLog((text, kind) =>
      this.#target.log(kind === "abort" ? "DEBUG" : "ERR", `agent.ipc: ${text}`)
    );
    await acceptAll({
      accept: () => this.#listener.accept(),
      isClosed: () => this.#isShutDown,
      onConnection: (conn) => {
        // It came while the port was being closed.
        if (this.#isShutDown) closeQuietly(conn);
        else this.#admit(conn);
      },
      onAborted: (error) => {
        this.#counts.aborts.add();
        const reason = systemErrorText(error);
        troubles.log("abort", `Client left before it was accepted: ${reason}`);
      },
      onFailed: (error) => {
        const reason = systemErrorText(error);
        troubles.log("accept", `Failed to accept client: ${reason}`);
      },
    });
  }

  #admit(conn: RpcConn): void {
    const peer = peerOf(conn, this.endpoint);
    const source = sourceOf(conn);
    const client = this.#connect(conn, peer, source);
    const admission = this.#places.place(client, source);
    if (admission.kind === "refused") return this.#refuse(conn, peer);
    if (admission.evicted !== undefined) {
      this.#counts.evictions.add();
      admission.evicted.evict();
    }
    this.#counts.accepts.add();
    this.#lines.accepted(peer);
    client.start();
  }

  /** Makes a client, which does nothing before it is started. */
  #connect(conn: RpcConn, peer: string, source: string): Connection {
    const client = new Connection(conn, {
      target: this.#target,
      authKey: this.#authKey,
      peer,
      commands: this.#counts.commands,
      limits: this.#limits,
      guard: {
        isOpen: () => this.#gate.isOpen(source, monotonicMs()),
        onWrong: () => {
          this.#counts.wrongTokens.add();
          this.#gate.onWrong(source, monotonicMs());
        },
      },
      isPrivate: "path" in this.endpoint,
      complain: (level, text) => this.#lines.complain(level, text),
      onOpen: () => this.#places.admit(client),
      onTokenHeld: () => this.#holdToken(client, source),
      onLate: () => this.#counts.lateIntroductions.add(),
      onEnd: () => {
        this.#places.remove(client);
        this.#gate.forget(client);
      },
    });
    return client;
  }

  /** Tells a client that there is no room, if not too many are being told so. */
  #refuse(conn: RpcConn, peer: string): void {
    this.#counts.refusals.add();
    this.#lines.complain(
      "WARN",
      `agent.ipc: Too many clients, refused: ${peer}`,
    );
    if (this.#refused.size >= REFUSALS_MAX) return closeQuietly(conn);
    const refused = new Connection(conn, {
      target: this.#target,
      authKey: this.#authKey,
      peer,
      refusal: RpcErrorText.tooManyClients,
      complain: (level, text) => this.#lines.complain(level, text),
      onEnd: () => this.#refused.delete(refused),
    });
    this.#refused.add(refused);
    refused.start();
  }

  #holdToken(client: Connection, source: string): void {
    this.#counts.heldTokens.add();
    if (!this.#gate.wait(client, source)) return client.refuseToken();
    this.#places.hold(client);
    this.#compareTokens();
  }

  /** Compares the waiting tokens whose turn has come, and looks again for others. */
  #compareTokens(): void {
    let client: Connection | undefined;
    while ((client = this.#gate.next(monotonicMs())) !== undefined) {
      this.#places.release(client);
      client.compareToken();
    }
    if (!this.#gate.hasWaiting || this.#isShutDown) return;
    this.#gateTimer ??= setTimeout(() => {
      this.#gateTimer = undefined;
      this.#compareTokens();
    }, GATE_INTERVAL_MS);
  }
}

/**
 * What a client shares its limits with: an IPv4 address, or the network of an IPv6
 * address, whose owner has all addresses in it. Clients of a socket in the file
 * system have one source together.
 */
export function sourceOf(conn: RpcConn): string {
  const { remoteAddr } = conn;
  return remoteAddr.transport === "tcp"
    ? sourceOfIp(plainHost(remoteAddr.hostname))
    : "";
}
