/**
 * A copy of the log for the system's own log daemon.
 *
 * The daemon listens on a datagram socket in the file system. Lines leave in
 * order and without waiting: a daemon that does not read costs us the lines that
 * it misses, never time. Each is sent as
 *
 *     <facility * 8 + severity>Nov 21 14:05:09 serf[PID]: text
 *
 * where the text is what follows the level in the line of our own log, whose
 * time the daemon does not need.
 *
 * Source: serf, `command.go` (setupLoggers), `syslog.go`; Go, package log/syslog;
 * RFC 3164 for the numbers.
 */

import type { LogLevel } from "../kit/log.ts";
import { facilityNumber } from "./syslog_facility.ts";

const SEVERITIES: Readonly<Record<LogLevel, number>> = {
  TRACE: 7,
  DEBUG: 7,
  INFO: 5,
  WARN: 4,
  ERR: 3,
};

/** Where the daemons of the various systems listen. */
const DAEMON_PATHS: readonly string[] = [
  "/dev/log",
  // Where the former leads on most systems; an executable may not look into /dev.
  "/run/systemd/journal/dev-log",
  "/var/run/syslog",
  "/var/run/log",
];

/** Who we are to the daemon. */
const TAG = "serf";
/** Lines on their way to the daemon; further ones are dropped. */
const WAITING_MAX = 1_024;
/** Longest line, bytes; what is longer is cut, for many daemons refuse it. */
const LINE_BYTES_MAX = 8_192;

const MONTHS = "Jan Feb Mar Apr May Jun Jul Aug Sep Oct Nov Dec".split(" ");

/** Syslog cannot be used; the message is what the agent prints. */
export class SyslogError extends Error {
  override name = "SyslogError";
}

export interface SyslogOptions {
  /** Name of the facility, in any case. */
  readonly facility: string;
  now(): Date;
  /** A line was dropped; called while it is written, or later. */
  onDropped?(): void;
  /** Sockets to try, the system's unless given. */
  readonly paths?: readonly string[];
}

export class Syslog {
  /** Lines that were dropped since the start. */
  dropped = 0;

  readonly #options: SyslogOptions;
  readonly #facility: number;
  readonly #socket: Deno.DatagramConn;
  readonly #daemonPath: string;
  #waiting = 0;

  /**
   * Looks for the daemon.
   *
   * @throws {SyslogError} when the facility is unknown or no daemon listens
   */
  static async open(options: SyslogOptions): Promise<Syslog> {
    const facility = facilityNumber(options.facility);
    if (facility === undefined) {
      throw new SyslogError(`invalid syslog facility: ${options.facility}`);
    }
    const folder = await Deno.makeTempDir({ prefix: "serf-syslog-" });
    let socket: Deno.DatagramConn;
    try {
      // Deno's datagram sockets have a name, which nobody needs once it is bound.
      socket = Deno.listenDatagram({
        transport: "unixpacket",
        path: `${folder}/socket`,
      });
    } finally {
      await Deno.remove(folder, { recursive: true });
    }
    for (const path of options.paths ?? DAEMON_PATHS) {
      if (await isListening(socket, path)) {
        return new Syslog(options, facility, socket, path);
      }
    }
    socket.close();
    throw new SyslogError("Unix syslog delivery error");
  }

  private constructor(
    options: SyslogOptions,
    facility: number,
    socket: Deno.DatagramConn,
    daemonPath: string,
  ) {
    this.#options = options;
    this.#facility = facility;
    this.#socket = socket;
    this.#daemonPath = daemonPath;
  }

  /** @param text without level and time */
  write(level: LogLevel, text: string): void {
    if (this.#waiting >= WAITING_MAX) return this.#drop();
    const line = syslogLine({
      priority: this.#facility * 8 + SEVERITIES[level],
      at: this.#options.now(),
      pid: Deno.pid,
      text,
    });
    this.#send(new TextEncoder().encode(line).subarray(0, LINE_BYTES_MAX));
  }

  close(): void {
    this.#socket.close();
  }

  async #send(bytes: Uint8Array): Promise<void> {
    this.#waiting++;
    try {
      const to = { transport: "unixpacket", path: this.#daemonPath } as const;
      await this.#socket.send(bytes, to);
    } catch {
      // The daemon is restarting, or we are closing. Our own log has the line.
      this.#drop();
    } finally {
      this.#waiting--;
    }
  }

  #drop(): void {
    this.dropped++;
    this.#options.onDropped?.();
  }
}

/** A line as daemons on this machine expect it. */
export function syslogLine(
  { priority, at, pid, text }: {
    readonly priority: number;
    readonly at: Date;
    readonly pid: number;
    readonly text: string;
  },
): string {
  const two = (value: number) => String(value).padStart(2, "0");
  const day = String(at.getDate()).padStart(2);
  const time = [at.getHours(), at.getMinutes(), at.getSeconds()].map(two);
  const stamp = `${MONTHS[at.getMonth()]} ${day} ${time.join(":")}`;
  return `<${priority}>${stamp} ${TAG}[${pid}]: ${text}\n`;
}

/** Whether datagrams are taken at a path. An empty one is no line. */
async function isListening(
  socket: Deno.DatagramConn,
  path: string,
): Promise<boolean> {
  try {
    await socket.send(new Uint8Array(), { transport: "unixpacket", path });
    return true;
  } catch {
    return false;
  }
}
