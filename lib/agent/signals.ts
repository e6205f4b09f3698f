/**
 * From signals to the end of the agent.
 *
 *     waiting ──SIGINT──▶ leaving ──left──▶ exit 0
 *      ▲ │ │ │               ├──nobody took note: says so──┐
 *      │ │ │ │               └──3 s, or any further signal─┴──▶ exit 1
 *      │ │ │ └──SIGTERM──▶ exit 1
 *      │ │ ├──went down by itself, after a leave by command──▶ exit 0
 *      │ │ │                     └──because its name is another's──▶ exit 1
 *      │ │ └──gave up (nobody to join)──▶ exit 1
 *      └─SIGHUP──▶ reload
 *
 * Settings may have it that SIGTERM leaves the cluster too, or that SIGINT does
 * not. During a leave SIGHUP counts as a further signal like the others. A reload
 * never stands in the way of an end, however long its files take to be read; those
 * that end the agent only wait a moment for it, because it may change what they do.
 * A SIGHUP that comes during a reload leads to one more. A SIGINT that follows
 * another at once is no further signal. Those that would end a process which has never heard of
 * them, but no program in Go, pass without effect.
 *
 * Source: serf `command.go`, handleSignals.
 */

import { monotonicMs } from "../net/clock.ts";
import type { CloseReason } from "../net/serf_node.ts";

/** Longest graceful leave, ms. */
const GRACEFUL_LIMIT_MS = 3_000;
/** How long the end waits for a reload that is under way, ms. */
const RELOAD_GRACE_MS = 250;
/** Signals kept for later; further ones are dropped. */
const SIGNALS_WAITING_MAX = 4;
/** How long after a SIGINT a second one may be the same press of a key, ms. */
const ECHO_MS = 500;

/** The signals that the agent knows, in Go's words. */
export type AgentSignal = "interrupt" | "terminated" | "hangup";

/** Where signals come from. */
export interface SignalSource {
  /** The next signal, also one that came before the call. One caller at a time. */
  next(): Promise<AgentSignal>;
}

type SignalTable = readonly (readonly [Deno.Signal, AgentSignal])[];

const UNIX_SIGNALS: SignalTable = [
  ["SIGINT", "interrupt"],
  ["SIGTERM", "terminated"],
  ["SIGHUP", "hangup"],
];

/**
 * Ctrl-Break is an interrupt, and the end of the terminal or of the session a
 * termination, as Go's programs have it. Nothing there says to reload.
 */
const WINDOWS_SIGNALS: SignalTable = [
  ["SIGINT", "interrupt"],
  ["SIGBREAK", "interrupt"],
  ["SIGTERM", "terminated"],
  ["SIGHUP", "terminated"],
];

/**
 * What supervisors, timers and limits send, and Go's programs ignore. SIGXFSZ
 * matters most: a file that may not grow is an error of that write.
 */
const IGNORED_SIGNALS: readonly Deno.Signal[] = [
  "SIGALRM",
  "SIGVTALRM",
  "SIGPROF",
  "SIGIO",
  "SIGXCPU",
  "SIGXFSZ",
];

/** The signals that have no effect on an agent, though on other processes. */
export function ignoredSignalsOf(
  os: typeof Deno.build.os,
): readonly Deno.Signal[] {
  if (os === "windows") return [];
  return os === "linux" ? [...IGNORED_SIGNALS, "SIGPWR"] : IGNORED_SIGNALS;
}

/** What the signals of an operating system mean to an agent. */
export function signalTableOf(os: typeof Deno.build.os): SignalTable {
  return os === "windows" ? WINDOWS_SIGNALS : UNIX_SIGNALS;
}

/**
 * Tells one Ctrl-C that comes twice from two of them.
 *
 * The terminal sends it to all processes in front, and one of those that started
 * this one (`deno task`, `npx`) may pass it on, so that the second would cut the
 * leave off that the first began.
 */
export class EchoFilter {
  #interruptAtMs = -Infinity;

  /** @param nowMs monotonic */
  isEcho(signal: AgentSignal, nowMs: number): boolean {
    if (signal !== "interrupt") return false;
    if (nowMs - this.#interruptAtMs < ECHO_MS) return true;
    this.#interruptAtMs = nowMs;
    return false;
  }
}

/** The signals of this process. While it exists they have no other effect. */
export class ProcessSignals implements SignalSource {
  readonly #echoes = new EchoFilter();
  readonly #waiting: AgentSignal[] = [];
  readonly #listeners: (readonly [Deno.Signal, () => void])[] = [];
  #wake: ((signal: AgentSignal) => void) | undefined;

  constructor() {
    for (const [name, signal] of signalTableOf(Deno.build.os)) {
      const listener = () => this.#onSignal(signal);
      Deno.addSignalListener(name, listener);
      this.#listeners.push([name, listener]);
    }
  }

  next(): Promise<AgentSignal> {
    const signal = this.#waiting.shift();
    if (signal !== undefined) return Promise.resolve(signal);
    return new Promise((resolve) => this.#wake = resolve);
  }

  /** Gives the signals their usual effect back. */
  close(): void {
    for (const [name, listener] of this.#listeners.splice(0)) {
      Deno.removeSignalListener(name, listener);
    }
  }

  #onSignal(signal: AgentSignal): void {
    if (this.#echoes.isEcho(signal, monotonicMs())) return;
    const wake = this.#wake;
    this.#wake = undefined;
    if (wake !== undefined) wake(signal);
    else if (this.#waiting.length < SIGNALS_WAITING_MAX) {
      this.#waiting.push(signal);
    }
  }
}

/** Lets the signals pass that have no effect on an agent, until it is disposed of. */
export function ignoreSignals(): Disposable {
  const names = ignoredSignalsOf(Deno.build.os);
  const ignore = () => {};
  for (const name of names) Deno.addSignalListener(name, ignore);
  return {
    [Symbol.dispose]() {
      for (const name of names) Deno.removeSignalListener(name, ignore);
    },
  };
}

/**
 * Calls `listener` on each SIGUSR2, which asks for a dump of the metrics. Windows
 * has no such signal. The original listens to SIGUSR1, which the runtime takes for
 * a wish to be debugged.
 *
 * @returns ends it
 */
export function onDumpSignal(listener: () => void): Disposable {
  if (Deno.build.os === "windows") return { [Symbol.dispose]: () => {} };
  Deno.addSignalListener("SIGUSR2", listener);
  return {
    [Symbol.dispose]: () => Deno.removeSignalListener("SIGUSR2", listener),
  };
}

/** What is done with the user, and for how long. */
export interface EndOptions {
  /** Prints one message. */
  say(message: string): void;
  /** Whether SIGINT and SIGTERM leave the cluster; asked when one comes. */
  leavesOn(signal: "interrupt" | "terminated"): boolean;
  /** Reads the settings again. */
  reload(): Promise<void>;
  /** Fulfilled when the agent has no more hope and gives up; never, if absent. */
  readonly gaveUp?: Promise<void>;
  /** Longest graceful leave, ms; 3 s unless given. */
  readonly gracefulLimitMs?: number;
}

/** What is asked of an agent here. */
export interface EndingAgent {
  readonly down: Promise<CloseReason>;
  leaveCluster(): Promise<void>;
}

/**
 * Waits for the end of the agent and leaves the cluster if it is a graceful
 * one. Shutting down is left to the caller.
 *
 * @returns the exit code
 */
export async function awaitEnd(
  agent: EndingAgent,
  signals: SignalSource,
  options: EndOptions,
): Promise<number> {
  const reloads = new Reloads(() => options.reload());
  const ends: Promise<number>[] = [
    // Against its will it ends as a failure, so that a supervisor starts it again.
    agent.down.then((reason) => reason === "shutdown" ? 0 : 1),
    reloads.failure,
  ];
  if (options.gaveUp) ends.push(options.gaveUp.then(() => 1));
  while (true) {
    const signal = await Promise.race([signals.next(), ...ends]);
    if (typeof signal === "number") return signal;
    options.say(`Caught signal: ${signal}`);
    if (signal === "hangup") {
      reloads.start();
      continue;
    }
    await reloads.settle(RELOAD_GRACE_MS);
    if (options.leavesOn(signal)) break;
    return 1;
  }
  options.say("Gracefully shutting down agent...");
  return await leaveGracefully(agent, signals, options);
}

/** Reloads, one at a time, in the background. */
class Reloads {
  /** Rejected with what a reload threw. */
  readonly failure: Promise<never>;
  readonly #reload: () => Promise<void>;
  readonly #fail: (error: unknown) => void;
  #running: Promise<void> | undefined;
  #isWantedAgain = false;

  constructor(reload: () => Promise<void>) {
    this.#reload = reload;
    const { promise, reject } = Promise.withResolvers<never>();
    this.failure = promise;
    this.#fail = reject;
  }

  /** Begins one, now or when the one that runs has ended. */
  start(): void {
    if (this.#running !== undefined) this.#isWantedAgain = true;
    else this.#running = this.#run();
  }

  /** Waits for the end of those that were begun, for at most `limitMs`. */
  async settle(limitMs: number): Promise<void> {
    if (this.#running === undefined) return;
    let timer: ReturnType<typeof setTimeout> | undefined;
    const limit = new Promise<void>((done) => {
      timer = setTimeout(done, limitMs);
    });
    await Promise.race([this.#running, limit]);
    clearTimeout(timer);
  }

  async #run(): Promise<void> {
    try {
      do {
        this.#isWantedAgain = false;
        await this.#reload();
      } while (this.#isWantedAgain);
    } catch (error) {
      this.#fail(error);
    }
    this.#running = undefined;
  }
}

async function leaveGracefully(
  agent: EndingAgent,
  signals: SignalSource,
  { say, gracefulLimitMs = GRACEFUL_LIMIT_MS }: EndOptions,
): Promise<number> {
  let isOver = false;
  let timer: ReturnType<typeof setTimeout> | undefined;
  const code = await new Promise<number>((end) => {
    timer = setTimeout(() => end(1), gracefulLimitMs);
    signals.next().then(() => end(1));
    agent.leaveCluster().then(() => end(0), (error) => {
      // The time limit still runs: the cluster may hear of the leave yet.
      if (!isOver) say(`Error: ${(error as Error).message}`);
    });
  });
  isOver = true;
  clearTimeout(timer);
  return code;
}
