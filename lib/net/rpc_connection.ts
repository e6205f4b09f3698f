/**
 * One client of the RPC port: its socket, its session, and the agent between.
 *
 * Two loops of its own, one that reads and one that writes, so a client that
 * reads slowly, or not at all, holds up nobody else. What waits for it is
 * bounded: records by the session's queues, responses by not reading its next
 * request before it has taken the answer to the last one. What it has asked the
 * cluster is given up when it goes.
 *
 * The protocol is in `lib/rpc/server_session.ts`. Source: serf, `ipc.go`.
 */

import { unreachable } from "../kit/assert.ts";
import type { LogLevel } from "../kit/log.ts";
import type { Counter } from "../kit/metrics.ts";
import { RPC_LIMITS, type RpcLimits } from "../rpc/limits.ts";
import { filterMembers, needsCompiler } from "../rpc/member_filter.ts";
import {
  type MemberFilter,
  REQUEST_LIMITS,
  RpcErrorText,
  type RpcKeyRequest,
  type RpcQuery,
} from "../rpc/protocol.ts";
import {
  encodeCoordinateBody,
  encodeJoinBody,
  encodeKeysBody,
  encodeMembersBody,
  encodeMetricsBody,
  encodeStatsBody,
} from "../rpc/response.ts";
import {
  type AgentRequest,
  ServerSession,
  type SessionOutput,
  type SessionWrite,
  type TokenGuard,
} from "../rpc/server_session.ts";
import type { SerfEvent } from "../serf/event.ts";
import { NO_KEY_REPORT } from "../serf/key_manager.ts";
import type { Member } from "../serf/member.ts";
import { monotonicMs } from "./clock.ts";
import { KeyError } from "./driver.ts";
import type { RpcConn } from "./rpc_endpoint.ts";
import type { RpcTarget } from "./rpc_target.ts";
import { systemErrorText } from "./system_error.ts";

/** Bytes asked for by one read, and so the most of pipelined requests held. */
const READ_BYTES = 16_384;
/**
 * How long the end of a query waits behind its last ack or answer, ms; it waits
 * for nothing else. The original's client gives acks, answers and the end to its
 * caller through channels of their own, and its command stops at the end even if
 * answers are still in theirs. The original's agent seldom ends a query right
 * after an answer; we do.
 */
const QUERY_END_DELAY_MS = 200;
/** Longest wait for the first request of a client that is to be refused, ms. */
const REFUSAL_LIMIT_MS = 1_000;
/** Longest wait for the last bytes to leave after a session has ended, ms. */
const CLOSE_LIMIT_MS = 10_000;
/** Longest wait for a client to end its side after we have ended ours, ms. */
const LINGER_MS = 1_000;
/**
 * Bytes of a client that are thrown away after the end of its session. The largest
 * request may be on its way; more is a flood, which is not worth our time.
 */
const LINGER_BYTES_MAX = REQUEST_LIMITS.bytesMax;
/** Longest wait of a shutdown for answers on their way, that to a leave above all, ms. */
const SHUTDOWN_LIMIT_MS = 1_000;

export interface ConnectionOptions {
  readonly target: RpcTarget;
  readonly authKey: string;
  readonly peer: string;
  /** What the client is told instead of being served; absent to serve it. */
  readonly refusal?: string;
  /** Counts requests. */
  readonly commands?: Counter;
  /** `RPC_LIMITS` unless given. */
  readonly limits?: RpcLimits;
  /** Absent to compare every token at once. */
  readonly guard?: TokenGuard;
  /**
   * Whether only those can be clients that the system lets in. Else it takes a
   * token to be one.
   */
  readonly isPrivate?: boolean;
  /** Logs a line that every stranger can cause; the target's log unless given. */
  complain?(level: LogLevel, text: string): void;
  /** Called once, when the client may give commands. */
  onOpen?(): void;
  /** Its token waits until `compareToken` or `refuseToken` is called. */
  onTokenHeld?(): void;
  /** Called when it is closed because it did not introduce itself in time. */
  onLate?(): void;
  /** Called once, when nothing is left of the connection. */
  onEnd(): void;
}

type Answer = Parameters<ServerSession["answer"]>[0];

export class Connection {
  readonly #conn: RpcConn;
  readonly #options: ConnectionOptions;
  readonly #session: ServerSession;
  #closeMonitor: (() => void) | undefined;
  /** Gives up the queries that are running. */
  readonly #giveUps = new Set<() => void>();
  /** What the write that is under way is made of. */
  #writing: SessionWrite["of"] | undefined;
  #isOpen = false;
  #isWriteLoopRunning = false;
  #isSettling = false;
  #isLeaving = false;
  #isDropped = false;
  /** Settled and replaced whenever something has changed. */
  #change = Promise.withResolvers<void>();
  #limit: ReturnType<typeof setTimeout> | undefined;

  constructor(conn: RpcConn, options: ConnectionOptions) {
    this.#conn = conn;
    this.#options = options;
    this.#session = new ServerSession(options);
    sendAtOnce(conn);
  }

  start(): void {
    const { refusal, limits = RPC_LIMITS } = this.#options;
    if (refusal !== undefined) this.#bound(REFUSAL_LIMIT_MS);
    else if (limits.introductionMs !== Infinity) {
      this.#bound(limits.introductionMs, () => this.#onLate());
    }
    this.#readAll();
  }

  /** The turn of the token that is held has come. */
  compareToken(): void {
    this.#session.compareToken();
    this.#settle();
  }

  /** Ends the connection instead of comparing the token that is held. */
  refuseToken(): void {
    this.#session.refuseToken();
    this.#settle();
  }

  /** Ends the connection at once, for another client's sake. */
  evict(): void {
    this.#complain(
      "WARN",
      "agent.ipc: Too many clients that have not introduced themselves, " +
        `closed: ${this.#options.peer}`,
    );
    this.#drop();
  }

  offerEvent(event: SerfEvent): void {
    if (!this.#session.hasStreams) return;
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
    return this.#session.hasResponses || this.#writing === "answer";
  }

  /** Resolves when all responses have left, or the connection has ended. */
  async #answersSent(): Promise<void> {
    while (this.#isAnswering && !this.#isDropped) await this.#change.promise;
  }

  async #readAll(): Promise<void> {
    const buffer = new Uint8Array(READ_BYTES);
    while (!this.#session.isClosed) {
      const { wantsBytes, isTokenHeld } = this.#session;
      if (!(wantsBytes || isTokenHeld) || this.#isAnswering) {
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
    this.#noticeOpening();
    if (!this.#isWriteLoopRunning) this.#writeAll();
    this.#announceChange();
  }

  #noticeOpening(): void {
    if (this.#isOpen || !this.#session.isOpen) return;
    this.#isOpen = true;
    // A session that has ended is bounded otherwise by now.
    if (!this.#session.isClosed) clearTimeout(this.#limit);
    this.#options.onOpen?.();
  }

  #onLate(): void {
    this.#options.onLate?.();
    this.#complain(
      "WARN",
      `agent.ipc: Client did not introduce itself in time, closed: ${this.#options.peer}`,
    );
    this.#drop();
  }

  /**
   * Logs what a client did wrong. Those that have shown that they may be here are
   * no strangers, and every line about them is logged.
   */
  #complain(level: LogLevel, text: string): void {
    const { authKey, isPrivate = false, target } = this.#options;
    const isKnown = this.#session.isOpen && (authKey !== "" || isPrivate);
    if (isKnown) target.log(level, text);
    else if (this.#options.complain) this.#options.complain(level, text);
    else target.log(level, text);
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
      case "holdToken":
        this.#options.onTokenHeld?.();
        return;
      case "log":
        if (output.isComplaint) this.#complain(output.level, output.text);
        else this.#options.target.log(output.level, output.text);
        return;
      case "close":
        this.#bound(CLOSE_LIMIT_MS);
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
    } else if (request.kind === "query") {
      this.#query(request.query);
    } else this.#session.answer(await this.#answerTo(request));
    this.#isLeaving = false;
    this.#settle();
  }

  async #answerTo(
    request: Exclude<AgentRequest, { kind: "membersFiltered" | "query" }>,
  ): Promise<Answer> {
    const { target } = this.#options;
    switch (request.kind) {
      case "members":
        return { error: "", body: encodeMembersBody(target.members()) };
      case "stats":
        return { error: "", body: encodeStatsBody(target.stats()) };
      case "metrics": {
        const body = encodeMetricsBody(target.recentMetrics());
        return { error: "", body };
      }
      case "getCoordinate": {
        const coordinate = target.coordinate(request.node);
        return { error: "", body: encodeCoordinateBody(coordinate) };
      }
      case "join": {
        let contacted = 0;
        const error = await errorOf(async () => {
          contacted = await target.join(request.addresses, request.replay);
        });
        return { error, body: encodeJoinBody(contacted) };
      }
      case "changeKeys":
        return await this.#changeKeys(request.request);
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
      case "tags":
        return {
          error: await errorOf(() => target.changeTags(request.changes)),
        };
      case "respond":
        return {
          error: await errorOf(() => {
            const query = this.#session.pendingQuery(request.id);
            if (query === undefined || monotonicMs() > query.deadlineMs) {
              throw new Error(RpcErrorText.noPendingQuery);
            }
            target.respond(query, request.payload);
          }),
        };
      default:
        return unreachable(request);
    }
  }

  /** Tells the client that a query has ended, a moment after the last reply. */
  #endAfter(stream: { end(): void }, lastReplyMs: number): void {
    const end = () => {
      stream.end();
      this.#settle();
    };
    // A disconnected client has given up the query already.
    if (this.#isDropped) return;
    const waitMs = lastReplyMs + QUERY_END_DELAY_MS - monotonicMs();
    if (waitMs <= 0) return end();
    const timer = setTimeout(() => {
      this.#giveUps.delete(cancel);
      end();
    }, waitMs);
    const cancel = () => clearTimeout(timer);
    this.#giveUps.add(cancel);
  }

  #query(query: RpcQuery): void {
    const session = this.#session;
    const stream = session.openQuery();
    let giveUp: (() => void) | undefined;
    let isDone = false;
    let lastReplyMs = -Infinity;
    try {
      giveUp = this.#options.target.query(query, {
        onReply: (reply) => {
          lastReplyMs = monotonicMs();
          session.offerReply(stream, reply);
          this.#settle();
        },
        onDone: () => {
          isDone = true;
          if (giveUp !== undefined) this.#giveUps.delete(giveUp);
          this.#endAfter(stream, lastReplyMs);
        },
      });
    } catch (error) {
      session.answer({ error: (error as Error).message });
      return;
    }
    if (!isDone) this.#giveUps.add(giveUp);
    session.answerQuery(stream);
  }

  /** The report goes out in any case; only a list tells of keys. */
  async #changeKeys(request: RpcKeyRequest): Promise<Answer> {
    let report = NO_KEY_REPORT;
    let error = "";
    try {
      report = await this.#options.target.changeKeys(request);
    } catch (cause) {
      error = (cause as Error).message;
      if (cause instanceof KeyError) report = cause.report;
    }
    const keys = request.kind === "list" ? report.keyCounts : undefined;
    return { error, body: encodeKeysBody({ ...report, keys }) };
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
    const { peer } = this.#options;
    this.#complain(
      "ERR",
      of === "answer"
        ? `agent.ipc: Failed to evaluate request: ${reason}`
        : `agent.ipc: Failed to stream ${of} to ipc.client: ${peer}: ${reason}`,
    );
  }

  /**
   * Ends our side first and lets the client end its own: closing with unread
   * bytes would reset the connection and might destroy the last answer.
   */
  async #finish(): Promise<void> {
    this.#bound(LINGER_MS);
    try {
      await this.#conn.closeWrite();
      const ignored = new Uint8Array(READ_BYTES);
      let count: number | null;
      let left = LINGER_BYTES_MAX;
      while (left > 0 && (count = await this.#conn.read(ignored)) !== null) {
        left -= count;
      }
    } catch {
      // The client is gone already.
    }
    this.#drop();
  }

  /** Ends everything after so long, instead of what was said before. */
  #bound(limitMs: number, end = () => this.#drop()): void {
    clearTimeout(this.#limit);
    this.#limit = setTimeout(end, limitMs);
  }

  /** Ends everything now. */
  #drop(): void {
    if (this.#isDropped) return;
    this.#isDropped = true;
    clearTimeout(this.#limit);
    this.#session.handleEnd();
    this.#closeMonitor?.();
    for (const giveUp of this.#giveUps) giveUp();
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
  conn: RpcConn,
  bytes: Uint8Array,
): Promise<void> {
  let rest = bytes;
  while (rest.length > 0) rest = rest.subarray(await conn.write(rest));
}

/** Small answers leave without waiting for further ones. */
function sendAtOnce(conn: RpcConn): void {
  try {
    if ("setNoDelay" in conn) conn.setNoDelay(true);
  } catch {
    // The client is gone already, which the first read tells.
  }
}

export function closeQuietly(conn: RpcConn): void {
  try {
    conn.close();
  } catch {
    // Closed already.
  }
}
