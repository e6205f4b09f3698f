/**
 * Accepts connections for as long as a listener is open.
 *
 * An accept fails for one of three reasons, and each calls for its own answer:
 *
 *     the peer has gone already       ──▶ go on at once: it was its connection
 *     descriptors or memory are short ──▶ pause, longer each time: wait for some
 *     anything else                   ──▶ go on at once, within a budget
 *
 * The first must not slow the others down. A health check that connects and
 * resets, as load balancers do, makes the system hand over a connection without
 * a peer; anybody can do that thousands of times a second. Every such failure
 * has used up one connection, so going on at once cannot spin. The third kind
 * might: a listener that is broken for good fails at once, each time.
 *
 * While connections wait to be accepted, the runtime hands over one after the
 * other and reads nothing meanwhile: hundreds were seen to be accepted before the
 * first of them was read. So the loop lets the runtime attend to the others after
 * a few. A flood of connections must not keep us from hearing those that speak.
 *
 * Source: accept(2), "Error handling". Go's listeners retry aborted connections
 * without a word (`internal/poll`, `FD.Accept`) and memberlist pauses only after
 * other errors (`net_transport.go`, tcpListen).
 */

import { Budget, type BudgetRate } from "../kit/budget.ts";
import { monotonicMs } from "./clock.ts";

/** First and longest pause while the system is short of something, ms; doubles in between. */
const SHORTAGE_PAUSE_MIN_MS = 5;
const SHORTAGE_PAUSE_MAX_MS = 1_000;
/**
 * Failures of unknown kind after which the loop goes on at once. More than a
 * network produces by itself; as a rate, about one percent of a processor.
 */
const UNKNOWN_RATE: BudgetRate = { perSecond: 1_000, burst: 1_000 };
/** Pause after a failure beyond that, ms. */
const UNKNOWN_PAUSE_MS = 10;

/** Accepts, failed ones too, after which the runtime gets to do other things. */
const ACCEPTS_IN_A_ROW = 4;

/** What accept(2) reports of a connection that is not there any more. */
const CONNECTION_CODES: ReadonlySet<string> = new Set([
  "ECONNABORTED",
  "ECONNRESET",
  "EHOSTDOWN",
  "EHOSTUNREACH",
  "EINTR",
  "ENETDOWN",
  "ENETUNREACH",
  "ENONET",
  "ENOPROTOOPT",
  "ENOTCONN",
  "EPERM",
  "EPIPE",
  "EPROTO",
  "ETIMEDOUT",
]);

/** What accept(2) reports when the process or the system lacks something. */
const SHORTAGE_CODES: ReadonlySet<string> = new Set([
  "EMFILE",
  "ENFILE",
  "ENOBUFS",
  "ENOMEM",
]);

export type AcceptFailure = "connection" | "shortage" | "unknown";

/** Whose failure it was that an accept threw. */
export function acceptFailureOf(error: unknown): AcceptFailure {
  const { code } = error as { code?: unknown };
  if (typeof code !== "string") return "unknown";
  if (CONNECTION_CODES.has(code)) return "connection";
  return SHORTAGE_CODES.has(code) ? "shortage" : "unknown";
}

export interface AcceptLoopOptions<Conn> {
  /** The next connection. */
  accept(): Promise<Conn>;
  /** Whether the listener was closed, so that a failure means nothing. */
  isClosed(): boolean;
  /** Hears of each connection, also of one that came while it was being closed. */
  onConnection(conn: Conn): void;
  /** A connection had ended before it was accepted. */
  onAborted(error: unknown): void;
  /** A connection could not be accepted. */
  onFailed(error: unknown): void;
  /** Monotonic time, ms; the clock's unless given. */
  readonly now?: () => number;
  /** Waits; the platform's timer unless given. */
  readonly pause?: (ms: number) => Promise<void>;
}

/** Accepts until the listener is closed. */
export async function acceptAll<Conn>(
  options: AcceptLoopOptions<Conn>,
): Promise<void> {
  const { now = monotonicMs, pause = sleep } = options;
  const unknown = new Budget(UNKNOWN_RATE);
  let shortagePauseMs = SHORTAGE_PAUSE_MIN_MS;
  for (let accepts = 0; !options.isClosed(); accepts++) {
    if (accepts % ACCEPTS_IN_A_ROW === ACCEPTS_IN_A_ROW - 1) {
      await pause(0);
      // It may have been closed meanwhile.
      if (options.isClosed()) return;
    }
    let conn: Conn;
    try {
      conn = await options.accept();
    } catch (error) {
      if (options.isClosed() || error instanceof Deno.errors.BadResource) {
        return;
      }
      const failure = acceptFailureOf(error);
      if (failure === "connection") {
        options.onAborted(error);
        continue;
      }
      options.onFailed(error);
      if (failure === "shortage") {
        await pause(shortagePauseMs);
        shortagePauseMs = Math.min(2 * shortagePauseMs, SHORTAGE_PAUSE_MAX_MS);
      } else if (!unknown.take(1, now())) {
        await pause(UNKNOWN_PAUSE_MS);
      }
      continue;
    }
    shortagePauseMs = SHORTAGE_PAUSE_MIN_MS;
    options.onConnection(conn);
  }
}

function sleep(ms: number): Promise<void> {
  return new Promise((done) => setTimeout(done, ms));
}
