/**
 * Reading a snapshot file: from any bytes to what a node starts again with.
 *
 * The file is text, one record a line, written in the order of what happened:
 *
 *     alive: NAME ADDR       a member joined
 *     not-alive: NAME        it left or failed
 *     clock: N               the three Lamport clocks
 *     event-clock: N
 *     query-clock: N
 *     leave                  we left; what stands before counts only for who
 *                            ignores that
 *     # failed: NAME ADDR    it failed, and may be found again; ours alone, and a
 *                            comment for upstream
 *     # ...                  comments, and `coordinate: ...`: of no meaning
 *
 * A crash leaves its traces in a file that is only appended to: a last line
 * without its end, and, when the file system had noted the new length but not yet
 * the contents, runs of NUL bytes. Both are cut out here. What stands before a
 * run on its line is the beginning of a line that was lost; what follows the run
 * begins a line. Upstream ignores the torn line but leaves it in the file, where
 * the next line is glued to it, and takes a run of NULs for text.
 *
 * Any bytes can be read. What cannot be used is skipped and complained about, a
 * limited number of times.
 *
 * Not for: writing (`snapshot.ts`) and the file itself (`lib/net`).
 * Source: serf `snapshot.go` (replay).
 */

import type { LogLevel } from "../kit/log.ts";
import { quoteText } from "../kit/quote.ts";
import { utf8Text } from "../kit/bytes.ts";
import { decodeText } from "../wire/text.ts";

/** The first words of the lines, as they are looked for and written. */
export const ALIVE_PREFIX = "alive: ";
export const NOT_ALIVE_PREFIX = "not-alive: ";
export const CLOCK_PREFIX = "clock: ";
export const EVENT_CLOCK_PREFIX = "event-clock: ";
export const QUERY_CLOCK_PREFIX = "query-clock: ";
export const LEAVE_LINE = "leave";
const COORDINATE_PREFIX = "coordinate: ";
const COMMENT_PREFIX = "#";
/** A comment that we understand. */
export const FAILED_PREFIX = "# failed: ";

/**
 * Longest line, bytes without its end. The longest name that the SWIM layer lets
 * in (512 characters) fits with room to spare; longer lines are skipped.
 */
export const LINE_BYTES_MAX = 2_048;
/** Members kept unless told otherwise, as many as the SWIM layer keeps. */
const MEMBERS_MAX = 65_536;
/**
 * Failed members kept. One that answers is enough to find back to the cluster, and
 * trying this many takes hours already.
 */
export const FAILED_MEMBERS_MAX = 1_024;
/** Complaints made one by one; the others are counted. */
const COMPLAINTS_MAX = 64;
/** Of a line that is complained about, this much is shown, characters. */
const SHOWN_MAX = 256;
/** Largest time that a line can hold: unsigned 64 bits. */
const LTIME_MAX = 0xffff_ffff_ffff_ffffn;

const NEWLINE = 0x0a;
const NUL = 0;

/** Something worth a line in the log; `text` comes without `serf: `. */
export interface SnapshotComplaint {
  readonly level: LogLevel;
  readonly text: string;
}

/** What a snapshot says. */
export interface RestoredSnapshot {
  /**
   * Members that were alive, name to address. The address is text from a file:
   * `ip:port` if all is well. Whom the file named last stands last.
   */
  readonly members: ReadonlyMap<string, string>;
  /** In the same way, members that had failed and were not forgotten. */
  readonly failed: ReadonlyMap<string, string>;
  /** Newest times seen by the three clocks, 0 for none; unsigned 64 bits. */
  readonly clock: bigint;
  readonly eventClock: bigint;
  readonly queryClock: bigint;
  /** What the log should say about the reading, in order. */
  readonly complaints: readonly SnapshotComplaint[];
  /** Whether something had to be cut out, so that the file wants rewriting. */
  readonly isDamaged: boolean;
  /**
   * How much of the file is complete lines, bytes. Before anything is appended,
   * what follows must go.
   */
  readonly bytes: number;
}

/** How a snapshot is read. */
export interface ReadSnapshotOptions {
  /** Whether a `leave` is ignored rather than taken for a new beginning. */
  readonly rejoinAfterLeave: boolean;
  /** Most members kept; beyond it the one named longest ago is forgotten. */
  readonly membersMax?: number;
}

/** Reads the contents of a snapshot file. Never fails. */
export function readSnapshot(
  bytes: Uint8Array,
  options: ReadSnapshotOptions,
): RestoredSnapshot {
  const reader = new Reader(options);
  let lineStart = 0;
  let at = 0;
  let completeBytes = 0;
  let isAfterCut = false;
  while (at < bytes.length) {
    const byte = bytes[at];
    if (byte === NEWLINE) {
      // A line's end right behind a cut belongs to what was cut.
      if (!isAfterCut || at > lineStart) {
        reader.line(bytes.subarray(lineStart, at));
      }
      completeBytes = lineStart = ++at;
      isAfterCut = false;
    } else if (byte === NUL) {
      while (bytes[at] === NUL) at++;
      reader.cut(lineStart, at);
      lineStart = at;
      isAfterCut = true;
    } else {
      at++;
    }
  }
  if (lineStart < bytes.length) reader.cut(lineStart, bytes.length);
  return reader.finish(completeBytes);
}

/**
 * Notes that a member is alive, or failed, as the newest of all. A full table forgets those
 * noted longest ago. The writing side keeps its table by the same rule,
 * so that it never knows more or less than its file says.
 */
export function noteMember(
  members: Map<string, string>,
  name: string,
  address: string,
  membersMax: number,
): void {
  members.delete(name);
  members.set(name, address);
  for (const oldest of members.keys()) {
    if (members.size <= membersMax) return;
    members.delete(oldest);
  }
}

class Reader {
  readonly #options: ReadSnapshotOptions;
  readonly #members = new Map<string, string>();
  readonly #failed = new Map<string, string>();
  #clock = 0n;
  #eventClock = 0n;
  #queryClock = 0n;
  readonly #complaints: SnapshotComplaint[] = [];
  #unsaid = 0;
  #cuts = 0;
  #cutBytes = 0;
  #firstCutAt = 0;

  constructor(options: ReadSnapshotOptions) {
    this.#options = options;
  }

  /** A complete line, without its end. */
  line(bytes: Uint8Array): void {
    if (bytes.length > LINE_BYTES_MAX) {
      this.#complain(
        "WARN",
        `Snapshot line of ${bytes.length} bytes is too long`,
      );
      return;
    }
    const text = decodeText(bytes);
    // No member has such a name: the SWIM layer does not let it in.
    if (text === undefined) this.#complainAbout(utf8Text(bytes));
    else this.#read(text);
  }

  /** What cannot be a line, from one offset to another. */
  cut(from: number, to: number): void {
    if (this.#cuts === 0) this.#firstCutAt = from;
    this.#cuts++;
    this.#cutBytes += to - from;
  }

  finish(bytes: number): RestoredSnapshot {
    const complaints = this.#complaints;
    if (this.#unsaid > 0) {
      const text =
        `${this.#unsaid} more complaints about the snapshot are left out`;
      complaints.push({ level: "WARN", text });
    }
    if (this.#cuts > 0) {
      const where = this.#cuts === 1
        ? `at offset ${this.#firstCutAt}`
        : `in ${this.#cuts} places, the first at offset ${this.#firstCutAt}`;
      const text = `Snapshot is damaged: cut ${this.#cutBytes} bytes ${where}`;
      complaints.push({ level: "WARN", text });
    }
    return {
      members: this.#members,
      failed: this.#failed,
      clock: this.#clock,
      eventClock: this.#eventClock,
      queryClock: this.#queryClock,
      complaints,
      isDamaged: this.#cuts > 0,
      bytes,
    };
  }

  /** The order of these is upstream's. */
  #read(line: string): void {
    if (line.startsWith(ALIVE_PREFIX)) {
      this.#readAlive(line);
    } else if (line.startsWith(NOT_ALIVE_PREFIX)) {
      const name = line.slice(NOT_ALIVE_PREFIX.length);
      this.#members.delete(name);
      this.#failed.delete(name);
    } else if (line.startsWith(CLOCK_PREFIX)) {
      this.#clock = this.#readClock("clock", line, CLOCK_PREFIX) ??
        this.#clock;
    } else if (line.startsWith(EVENT_CLOCK_PREFIX)) {
      this.#eventClock =
        this.#readClock("event clock", line, EVENT_CLOCK_PREFIX) ??
          this.#eventClock;
    } else if (line.startsWith(QUERY_CLOCK_PREFIX)) {
      this.#queryClock =
        this.#readClock("query clock", line, QUERY_CLOCK_PREFIX) ??
          this.#queryClock;
    } else if (line.startsWith(COORDINATE_PREFIX)) {
      return;
    } else if (line === LEAVE_LINE) {
      this.#readLeave();
    } else if (line.startsWith(FAILED_PREFIX)) {
      this.#readFailed(line.slice(FAILED_PREFIX.length));
    } else if (!line.startsWith(COMMENT_PREFIX)) {
      this.#complainAbout(line);
    }
  }

  #readAlive(line: string): void {
    const info = line.slice(ALIVE_PREFIX.length);
    // Names may hold spaces, addresses may not.
    const space = info.lastIndexOf(" ");
    if (space < 0) {
      this.#complain("WARN", `Failed to parse address: ${shown(line)}`);
      return;
    }
    const name = info.slice(0, space);
    this.#failed.delete(name);
    noteMember(
      this.#members,
      name,
      info.slice(space + 1),
      this.#options.membersMax ?? MEMBERS_MAX,
    );
  }

  /** It may be somebody else's comment, so there is nothing to complain about. */
  #readFailed(info: string): void {
    const space = info.lastIndexOf(" ");
    if (space < 0) return;
    const name = info.slice(0, space);
    this.#members.delete(name);
    noteMember(
      this.#failed,
      name,
      info.slice(space + 1),
      FAILED_MEMBERS_MAX,
    );
  }

  #readClock(what: string, line: string, prefix: string): bigint | undefined {
    const text = line.slice(prefix.length);
    const digits = /^[0-9]*/.exec(text)?.[0] ?? "";
    // Go notices an overflow before it sees what is behind the digits.
    const isTooLarge = digits !== "" && BigInt(digits) > LTIME_MAX;
    if (!isTooLarge && digits !== "" && digits === text) return BigInt(digits);
    const why = isTooLarge ? "value out of range" : "invalid syntax";
    this.#complain(
      "WARN",
      `Failed to convert ${what} time: strconv.ParseUint: parsing ` +
        `${quoteText(shown(text))}: ${why}`,
    );
    return undefined;
  }

  #readLeave(): void {
    if (this.#options.rejoinAfterLeave) {
      this.#complain("INFO", "Ignoring previous leave in snapshot");
      return;
    }
    this.#members.clear();
    this.#failed.clear();
    this.#clock = this.#eventClock = this.#queryClock = 0n;
  }

  #complainAbout(line: string): void {
    this.#complain("WARN", `Unrecognized snapshot line: ${shown(line)}`);
  }

  #complain(level: LogLevel, text: string): void {
    if (this.#complaints.length < COMPLAINTS_MAX) {
      this.#complaints.push({ level, text });
    } else {
      this.#unsaid++;
    }
  }
}

function shown(text: string): string {
  return text.length <= SHOWN_MAX ? text : `${text.slice(0, SHOWN_MAX)}...`;
}
