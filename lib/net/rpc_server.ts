/**
 * The agent's RPC port: a listener, and one session for each connection.
 *
 * Each connection has two loops of its own, one that reads and one that writes,
 * so a client that reads slowly, or not at all, holds up nobody else. What waits
 * for it is bounded: records by the session's queues, responses by not reading
 * its next request before it has taken the answer to the last one.
 *
 * The protocol is in `lib/rpc/server_session.ts`, and what the requests mean in
 * the agent, which is the `RpcTarget`. Source: serf, `ipc.go`.
 */

import type { HostPort } from "../kit/address.ts";
import { unreachable } from "../kit/assert.ts";
import type { LogLevel } from "../kit/log.ts";
import { filterMembers, needsCompiler } from "../rpc/member_filter.ts";
import type { MemberFilter } from "../rpc/protocol.ts";
import {
  encodeJoinBody,
  encodeMembersBody,
  encodeStatsBody,
} from "../rpc/response.ts";
import {
  type AgentRequest,
  ServerSession,
  type SessionOutput,
  type SessionWrite,
} from "../rpc/server_session.ts";
import type { SerfEvent } from "../serf/event.ts";
import type { Member } from "../serf/member.ts";
import { systemErrorText } from "./system_error.ts";
import { endpointOf } from "./udp.ts";

/** What clients can ask of an agent. Errors reach them with their message. */
export interface RpcTarget {
  /** Sorted by name. */
  members(): readonly Member[];
  /** @returns how many addresses were contacted */
  join(addresses: readonly string[], replay: boolean): Promise<number>;
  /** Resolves when the cluster was left; the agent then shuts down by itself. */
  leave(): Promise<void>;
  forceLeave(node: string, prune: boolean): Promise<void>;
  userEvent(name: string, payload: Uint8Array, coalesce: boolean): void;
  stats(): ReadonlyMap<string, ReadonlyMap<string, string>>;
  /** @returns ends the subscription */
  subscribeEvents(listener: (event: SerfEvent) => void): () => void;
  /** `backlog` holds recent lines of that level and above, oldest first. */
  subscribeLog(
    level: LogLevel,
    listener: (line: string) => void,
  ): { backlog: string[]; unsubscribe(): void };
  /** @param text begins with its component: `agent.ipc: ...` */
  log(level: LogLevel, text: string): void;
}

export interface RpcServerOptions {
  readonly target: RpcTarget;
  /** An IP address and a port; port 0 takes any free one. */
  readonly at: HostPort;
  /** The token that clients must show; empty for none. */
  readonly authKey: string;
}

/** Connections held at once; further ones are closed. */
const CONNECTIONS_MAX = 1_024;
/** Bytes asked for by one read, and so the most of pipelined requests held. */
const READ_BYTES = 16_384;
/** Longest wait for the last bytes to leave after a session has ended, ms. */
const CLOSE_LIMIT_MS = 10_000;
/** Longest wait for a client to end its side after we have ended ours, ms. */
const LINGER_MS = 1_000;
/** Longest wait of a shutdown for answers on their way, that to a leave above all, ms. */
const SHUTDOWN_LIMIT_MS = 1_000;
/** First and longest pause after a failed accept, ms; doubles in between. */
const ACCEPT_PAUSE_MIN_MS = 5;
const ACCEPT_PAUSE_MAX_MS = 1_000;

export class RpcServer {
  readonly #target: RpcTarget;
  readonly #authKey: string;
  readonly #listener: Deno.TcpListener;
  readonly #connections = new Set<Connection>();
  readonly #unsubscribe: () => void;
  #isShutDown = false;

  /** @throws the system's error when the address cannot be listened on */
  static start(options: RpcServerOptions): RpcServer {
    return new RpcServer(options);
  }

  private constructor(options: RpcServerOptions) {
    this.#target = options.target;
    this.#authKey = options.authKey;
    this.#listener = Deno.listen({
      hostname: options.at.host,
      port: options.at.port,
    });
    this.#unsubscribe = this.#target.subscribeEvents((event) => {
      for (const connection of this.#connections) connection.offerEvent(event);
    });
    this.#acceptAll();
  }

  /** The port that is listened on. */
  get port(): number {
    return this.#listener.addr.port;
  }

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
    await Promise.all([...this.#connections].map((each) => each.shutdown()));
  }

  async #acceptAll(): Promise<void> {
    let pauseMs = ACCEPT_PAUSE_MIN_MS;
    while (!this.#isShutDown) {
      try {
        this.#admit(await this.#listener.accept());
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

  #admit(conn: Deno.TcpConn): void {
    const peer = endpointOf(conn.remoteAddr as Deno.NetAddr);
    if (this.#connections.size >= CONNECTIONS_MAX) {
      closeQuietly(conn);
      this.#target.log("WARN", `agent.ipc: Too many clients, refused: ${peer}`);
      return;
    }
    this.#target.log("INFO", `agent.ipc: Accepted client: ${peer}`);
    const connection = new Connection(conn, {
      target: this.#target,
      authKey: this.#authKey,
      peer,
      onEnd: () => this.#connections.delete(connection),
    });
    this.#connections.add(connection);
    connection.start();
  }
}

interface ConnectionOptions {
  readonly target: RpcTarget;
  readonly authKey: string;
  readonly peer: string;
  /** Called once, when nothing is left of the connection. */
  onEnd(): void;
}

type Answer = Parameters<ServerSession["answer"]>[0];

/** One client. */
class Connection {
  readonly #conn: Deno.TcpConn;
  readonly #options: ConnectionOptions;
  readonly #session: ServerSession;
  #closeMonitor: (() => void) | undefined;
  /** What the write that is under way is made of. */
  #writing: SessionWrite["of"] | undefined;
  #isWriteLoopRunning = false;
  #isSettling = false;
  #isLeaving = false;
  #isDropped = false;
  /** Settled and replaced whenever something has changed. */
  #change = Promise.withResolvers<void>();
  #limit: ReturnType<typeof setTimeout> | undefined;

  constructor(conn: Deno.TcpConn, options: ConnectionOptions) {
    this.#conn = conn;
    this.#options = options;
    this.#session = new ServerSession(options);
    conn.setNoDelay(true);
  }

  start(): void {
    this.#readAll();
  }

  offerEvent(event: SerfEvent): void {
    this.#session.offerEvent(event);
    this.#settle();
  }

  /** Ends the connection, after the answers that should still go out. */
  async shutdown(): Promise<void> {
    const limit = setTimeout(() => this.#drop(), SHUTDOWN_LIMIT_MS);
    while (!this.#isDropped && (this.#isLeaving || this.#isAnswering)) {
      await this.#change.promise;
    }
    clearTimeout(limit);
    this.#drop();
  }

  /** Whether a response waits or is being written. */
  get #isAnswering(): boolean {
    return this.#session.hasResponses || this.#writing === "response";
  }

  /** Resolves when all responses have left, or the connection has ended. */
  async #answersSent(): Promise<void> {
    while (this.#isAnswering && !this.#isDropped) await this.#change.promise;
  }

  async #readAll(): Promise<void> {
    const buffer = new Uint8Array(READ_BYTES);
    while (!this.#session.isClosed) {
      if (!this.#session.wantsBytes || this.#isAnswering) {
        await this.#change.promise;
        continue;
      }
      try {
        const count = await this.#conn.read(buffer);
        if (count === null) this.#session.handleEnd();
        else this.#session.handleBytes(buffer.subarray(0, count));
      } catch (error) {
        if (this.#isDropped) return;
        this.#session.handleEnd(systemErrorText(error));
      }
      this.#settle();
    }
  }

  /** Does what the session asks, and everything that this leads to. */
  #settle(): void {
    if (this.#isSettling || this.#isDropped) return;
    this.#isSettling = true;
    let outputs: SessionOutput[];
    while ((outputs = this.#session.drain()).length > 0) {
      for (const output of outputs) this.#onOutput(output);
    }
    this.#isSettling = false;
    if (!this.#isWriteLoopRunning) this.#writeAll();
    this.#announceChange();
  }

  #announceChange(): void {
    this.#change.resolve();
    this.#change = Promise.withResolvers<void>();
  }

  #onOutput(output: SessionOutput): void {
    switch (output.kind) {
      case "request":
        this.#perform(output.request);
        return;
      case "openMonitor":
        this.#openMonitor(output.level);
        return;
      case "closeMonitor":
        this.#closeMonitor?.();
        this.#closeMonitor = undefined;
        return;
      case "log":
        this.#options.target.log(output.level, output.text);
        return;
      case "close":
        this.#limit = setTimeout(() => this.#drop(), CLOSE_LIMIT_MS);
        return;
      default:
        unreachable(output);
    }
  }

  #openMonitor(level: LogLevel): void {
    const { backlog, unsubscribe } = this.#options.target.subscribeLog(
      level,
      (line) => {
        this.#session.offerLog(line);
        this.#settle();
      },
    );
    this.#closeMonitor = unsubscribe;
    this.#session.startMonitor(backlog);
  }

  async #perform(request: AgentRequest): Promise<void> {
    // A client that does not take its answers gets no further ones.
    await this.#answersSent();
    if (this.#isDropped) return;
    if (request.kind === "membersFiltered") {
      await this.#filterMembers(request.filter);
    } else this.#session.answer(await this.#answerTo(request));
    this.#isLeaving = false;
    this.#settle();
  }

  async #answerTo(
    request: Exclude<AgentRequest, { kind: "membersFiltered" }>,
  ): Promise<Answer> {
    const { target } = this.#options;
    switch (request.kind) {
      case "members":
        return { error: "", body: encodeMembersBody(target.members()) };
      case "stats":
        return { error: "", body: encodeStatsBody(target.stats()) };
      case "join": {
        let contacted = 0;
        const error = await errorOf(async () => {
          contacted = await target.join(request.addresses, request.replay);
        });
        return { error, body: encodeJoinBody(contacted) };
      }
      case "leave":
        return { error: await this.#leave() };
      case "forceLeave":
        return {
          error: await errorOf(() =>
            target.forceLeave(request.node, request.prune)
          ),
        };
      case "event":
        return {
          error: await errorOf(() => {
            target.userEvent(request.name, request.payload, request.coalesce);
          }),
        };
      default:
        return unreachable(request);
    }
  }

  async #leave(): Promise<string> {
    const { target } = this.#options;
    this.#isLeaving = true;
    target.log("INFO", "agent.ipc: Graceful leave triggered");
    const error = await errorOf(() => target.leave());
    if (error !== "") target.log("ERR", `agent.ipc: leave failed: ${error}`);
    return error;
  }

  async #filterMembers(filter: MemberFilter): Promise<void> {
    const compile = needsCompiler(filter)
      ? (await import("../kit/re2.ts")).compileExpression
      : undefined;
    let members: readonly Member[];
    try {
      members = filterMembers(this.#options.target.members(), filter, compile);
    } catch (error) {
      if (!(error instanceof SyntaxError)) throw error;
      this.#session.refuse(`Failed to compile regex: ${error.message}`);
      return;
    }
    this.#session.answer({ error: "", body: encodeMembersBody(members) });
  }

  async #writeAll(): Promise<void> {
    this.#isWriteLoopRunning = true;
    let write: SessionWrite | undefined;
    while (
      !this.#isDropped && (write = this.#session.takeWrite()) !== undefined
    ) {
      this.#writing = write.of;
      try {
        await writeWhole(this.#conn, write.bytes);
      } catch (error) {
        if (!this.#isDropped) {
          this.#onWriteError(write.of, systemErrorText(error));
        }
        this.#drop();
      }
      this.#writing = undefined;
      this.#announceChange();
    }
    this.#isWriteLoopRunning = false;
    if (this.#session.isClosed && !this.#isDropped) await this.#finish();
  }

  #onWriteError(of: SessionWrite["of"], reason: string): void {
    const { target, peer } = this.#options;
    target.log(
      "ERR",
      of === "response"
        ? `agent.ipc: Failed to evaluate request: ${reason}`
        : `agent.ipc: Failed to stream ${
          of === "event" ? "event" : "log"
        } to ipc.client: ${peer}: ${reason}`,
    );
  }

  /**
   * Ends our side first and lets the client end its own: closing with unread
   * bytes would reset the connection and might destroy the last answer.
   */
  async #finish(): Promise<void> {
    clearTimeout(this.#limit);
    this.#limit = setTimeout(() => this.#drop(), LINGER_MS);
    try {
      await this.#conn.closeWrite();
      const ignored = new Uint8Array(READ_BYTES);
      while (await this.#conn.read(ignored) !== null);
    } catch {
      // The client is gone already.
    }
    this.#drop();
  }

  /** Ends everything now. */
  #drop(): void {
    if (this.#isDropped) return;
    this.#isDropped = true;
    clearTimeout(this.#limit);
    this.#session.handleEnd();
    this.#closeMonitor?.();
    closeQuietly(this.#conn);
    this.#announceChange();
    this.#options.onEnd();
  }
}

/** Runs `action`; the message of what it throws, empty when all went well. */
async function errorOf(action: () => void | Promise<void>): Promise<string> {
  try {
    await action();
    return "";
  } catch (error) {
    return (error as Error).message;
  }
}

async function writeWhole(
  conn: Deno.TcpConn,
  bytes: Uint8Array,
): Promise<void> {
  let rest = bytes;
  while (rest.length > 0) rest = rest.subarray(await conn.write(rest));
}

function closeQuietly(conn: Deno.TcpConn): void {
  try {
    conn.close();
  } catch {
    // Closed already.
  }
}
