/**
 * What an agent tells systemd about itself, when systemd has asked.
 *
 *     started ──READY=1──▶ ready ──STOPPING=1──▶ stopping
 *                           │ ▲
 *                 RELOADING=1 READY=1
 *
 * From READY=1 on a heartbeat, WATCHDOG=1, goes out four times in the time that the
 * unit's `WatchdogSec` allows, as long as the node does its work: the beats come
 * from the event loop, and none is sent while something that the engine wants to do
 * has been due for too long. Without beats systemd kills and restarts the agent.
 *
 * The messages are datagrams to a socket that NOTIFY_SOCKET names, a file or an
 * abstract name. Deno sends to files alone, and only while it may read and write
 * all files, which an agent gives up; so the C library sends them, without waiting.
 *
 * Loaded only when the variable is set. Linux alone.
 *
 * Source: sd_notify(3), sd_watchdog_enabled(3), unix(7).
 */

import { openLibc } from "../net/libc.ts";
import { utf8Bytes } from "../kit/bytes.ts";

/** Variables by which systemd asks; none is for the scripts of an agent. */
export const SERVICE_VARIABLES = [
  "NOTIFY_SOCKET",
  "WATCHDOG_USEC",
  "WATCHDOG_PID",
] as const;

const AF_UNIX = 1;
const SOCK_DGRAM = 2;
const SOCK_CLOEXEC = 0x8_0000;
const MSG_DONTWAIT = 0x40;
const MSG_NOSIGNAL = 0x4000;
const CLOCK_MONOTONIC = 1n;
/** Bytes of a name in a sockaddr_un, a NUL at the end included. */
const PATH_BYTES_MAX = 108;

/** Beats in the time that systemd allows between two. */
const BEATS_PER_LIMIT = 4;
/** Work that is due for this part of that time means that a node is stuck. */
const OVERDUE_PART = 1 / 2;
/** Attempts to send what must arrive, and the pause between them, ms. */
const ATTEMPTS = 20;
const RETRY_MS = 100;

const SYMBOLS = {
  socket: { parameters: ["i32", "i32", "i32"], result: "i32" },
  sendto: {
    parameters: ["i32", "buffer", "usize", "i32", "buffer", "u32"],
    result: "isize",
  },
  close: { parameters: ["i32"], result: "i32" },
  clock_gettime: { parameters: ["i64", "buffer"], result: "i32" },
} as const;

/** The variables as systemd has set them. */
export type ServiceVariables = Readonly<
  Partial<Record<typeof SERVICE_VARIABLES[number], string>>
>;

export interface ServiceOptions {
  /** How long the node has waited for what it wants to do next, ms. */
  overdueMs(): number;
}

export class ServiceNotifier {
  readonly #libc: Deno.DynamicLibrary<typeof SYMBOLS>;
  readonly #socket: number;
  readonly #address: Uint8Array<ArrayBuffer>;
  /** Longest time between beats, ms; absent when none are wanted. */
  readonly #limitMs: number | undefined;
  #beats: ReturnType<typeof setInterval> | undefined;
  #isClosed = false;

  /**
   * @throws {Error} when there is no way to reach systemd
   */
  constructor(variables: ServiceVariables) {
    this.#address = socketAddress(variables.NOTIFY_SOCKET ?? "");
    this.#limitMs = watchdogLimitMs(variables, Deno.pid);
    this.#libc = openLibc(SYMBOLS);
    const { socket } = this.#libc.symbols;
    this.#socket = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (this.#socket < 0) throw new Error("no socket can be had");
  }

  /** The agent serves; its heart begins to beat. */
  ready({ overdueMs }: ServiceOptions): void {
    this.#tell("READY=1");
    if (this.#limitMs === undefined) return;
    const limitMs = this.#limitMs;
    const beat = () => {
      if (overdueMs() < limitMs * OVERDUE_PART) this.#send("WATCHDOG=1");
    };
    beat();
    this.#beats = setInterval(beat, limitMs / BEATS_PER_LIMIT);
  }

  /** The settings are read again, until `reloaded`. */
  reloading(): void {
    this.#tell(`RELOADING=1\nMONOTONIC_USEC=${this.#monotonicMicros()}`);
  }

  reloaded(): void {
    this.#tell("READY=1");
  }

  /** The agent is about to end. */
  stopping(): void {
    this.#tell("STOPPING=1");
  }

  close(): void {
    clearInterval(this.#beats);
    this.#isClosed = true;
    this.#libc.symbols.close(this.#socket);
    this.#libc.close();
  }

  // --- Inside ---------------------------------------------------------------

  /** Sends what must arrive; tries again for a while if systemd is busy. */
  async #tell(state: string): Promise<void> {
    for (let attempt = 0; attempt < ATTEMPTS; attempt++) {
      if (this.#isClosed || this.#send(state)) return;
      await new Promise((done) => setTimeout(done, RETRY_MS));
    }
  }

  #send(state: string): boolean {
    const bytes = Uint8Array.from(utf8Bytes(state));
    const { sendto } = this.#libc.symbols;
    const sent = sendto(
      this.#socket,
      bytes,
      BigInt(bytes.length),
      MSG_DONTWAIT | MSG_NOSIGNAL,
      this.#address,
      this.#address.length,
    );
    return Number(sent) === bytes.length;
  }

  #monotonicMicros(): bigint {
    const time = new BigInt64Array(2);
    this.#libc.symbols.clock_gettime(CLOCK_MONOTONIC, time);
    const [seconds = 0n, nanos = 0n] = time;
    return seconds * 1_000_000n + nanos / 1_000n;
  }
}

/**
 * A socket's name as the system wants it, a sockaddr_un.
 *
 * @param name a path, or a name of the abstract kind behind `@`
 * @throws {Error} when it is none of the two
 */
export function socketAddress(name: string): Uint8Array<ArrayBuffer> {
  const isAbstract = name.startsWith("@");
  if (!isAbstract && !name.startsWith("/")) {
    throw new Error(`'${name}' is neither a path nor an abstract name`);
  }
  const bytes = utf8Bytes(isAbstract ? name.slice(1) : name);
  if (bytes.length > PATH_BYTES_MAX - 1) {
    throw new Error(`'${name}' is too long for a socket`);
  }
  // An abstract name has a NUL in front, and its length says where it ends; a path
  // has the NUL behind.
  const address = new Uint8Array(2 + bytes.length + 1);
  new DataView(address.buffer).setUint16(0, AF_UNIX, true);
  address.set(bytes, isAbstract ? 3 : 2);
  return address;
}

/**
 * Longest time between heartbeats, ms.
 *
 * @param pid the process that asks; the wish may be meant for another
 * @returns `undefined` when no beats are wanted
 */
export function watchdogLimitMs(
  variables: ServiceVariables,
  pid: number,
): number | undefined {
  const { WATCHDOG_USEC = "", WATCHDOG_PID = "" } = variables;
  if (WATCHDOG_PID !== "" && WATCHDOG_PID !== String(pid)) return undefined;
  const micros = /^\d+$/.test(WATCHDOG_USEC) ? Number(WATCHDOG_USEC) : 0;
  return micros > 0 ? micros / 1_000 : undefined;
}
