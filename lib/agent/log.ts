/**
 * The agent's log: one line format, three consumers.
 *
 * Each entry goes to standard output, filtered by the agent's level, and into a
 * ring with the last lines of all levels, from which `serf monitor` is served;
 * `copyTo` adds the system's log. Standard output may be had as JSON.
 *
 * Until the start-up text is out, the lines for standard output are held back; a
 * start that fails never shows them.
 *
 * An entry is one line, whatever strangers put into it: control characters become
 * visible (`kit/visible.ts`), here and for all consumers. Only errors that list
 * their causes have further lines, which begin with a tab.
 *
 * This is our own small log rather than a library: the format, the gate and the
 * ring are part of what Serf's users see, and what a library would add on top
 * (categories, contexts) has no use here.
 *
 * Source: serf `log_levels.go`, `gated_writer.go`, `log_writer.go`.
 */

import { utf8Bytes, utf8Text } from "../kit/bytes.ts";
import { type LogLevel, logLevelRank } from "../kit/log.ts";
import { Ring } from "../kit/ring.ts";
import { visibleEntry } from "../kit/visible.ts";
import { jsonLogLine, textLogLine } from "./log_line.ts";

/** Lines kept for monitors that connect later. */
export const MONITOR_LINES_MAX = 512;
/** Lines held back during start-up; the oldest are forgotten beyond it. */
const GATED_LINES_MAX = 4_096;
/**
 * Characters of one entry; the rest is cut off. Clients can have words of theirs
 * logged that are nearly as long as a request may be, and the lines are kept.
 */
const ENTRY_LENGTH_MAX = 16_384;
/** What stands in front of each entry on standard output. */
const STDOUT_PREFIX = "    ";

export interface AgentLogOptions {
  /** Least important level that standard output shows. */
  readonly level: LogLevel;
  /** Whether standard output gets JSON, an object for each entry. */
  readonly isJson?: boolean;
  /** Writes whole lines to standard output. */
  write(text: string): void;
  /** The time of day; lines show it in the local time zone. */
  now(): Date;
}

/** Hears the lines of one level and above. */
export type LogListener = (line: string) => void;

interface Entry {
  readonly rank: number;
  readonly line: string;
}

interface Subscriber {
  readonly rank: number;
  readonly listener: LogListener;
}

export class AgentLog {
  readonly #options: AgentLogOptions;
  readonly #ring = new Ring<Entry>(MONITOR_LINES_MAX);
  readonly #subscribers = new Set<Subscriber>();
  #rank: number;
  #copy: ((level: LogLevel, text: string) => void) | undefined;
  /** What standard output has not been shown yet; absent once it is open. */
  #gated: Ring<string> | undefined = new Ring<string>(GATED_LINES_MAX);

  constructor(options: AgentLogOptions) {
    this.#options = options;
    this.#rank = logLevelRank(options.level);
  }

  /** @param text begins with its component: `agent: Received event: ...` */
  log(level: LogLevel, text: string): void {
    const { isJson, now } = this.#options;
    const rank = logLevelRank(level);
    const at = now();
    // Errors that list their causes end in line breaks; one of them is the line's.
    const said = text.replace(/\n$/, "");
    const entry = shortened(visibleEntry(said));
    const line = textLogLine(at, level, entry);
    this.#ring.push({ rank, line });
    if (rank >= this.#rank) {
      this.#show(
        isJson
          ? jsonLogLine(at, level, shortened(said).trimEnd())
          : `${STDOUT_PREFIX}${line}\n`,
      );
      this.#copy?.(level, entry);
    }
    for (const { rank: least, listener } of this.#subscribers) {
      if (rank >= least) listener(line);
    }
  }

  /**
   * Hands each line of the level of standard output to one more consumer as well,
   * from now on.
   *
   * @param copy is given the level and the text, without the time
   */
  copyTo(copy: (level: LogLevel, text: string) => void): void {
    this.#copy = copy;
  }

  /** Shows what was held back; from now on lines appear as they come. */
  open(): void {
    const gated = this.#gated?.toArray() ?? [];
    this.#gated = undefined;
    for (const text of gated) this.#show(text);
  }

  /** Changes what standard output shows from now on. */
  setLevel(level: LogLevel): void {
    this.#rank = logLevelRank(level);
  }

  /**
   * Hands over each new line of `level` and above, before `log` returns.
   *
   * @returns the lines so far, oldest first, and a way to end it
   */
  subscribe(
    level: LogLevel,
    listener: LogListener,
  ): { backlog: string[]; unsubscribe(): void } {
    const subscriber = { rank: logLevelRank(level), listener };
    const backlog = this.#ring.toArray()
      .filter(({ rank }) => rank >= subscriber.rank)
      .map(({ line }) => line);
    this.#subscribers.add(subscriber);
    return {
      backlog,
      unsubscribe: () => this.#subscribers.delete(subscriber),
    };
  }

  /** @param text with its line break */
  #show(text: string): void {
    if (this.#gated !== undefined) this.#gated.push(text);
    else this.#options.write(text);
  }
}

/** The text up to the limit, and how much is missing. */
function shortened(text: string): string {
  const missing = text.length - ENTRY_LENGTH_MAX;
  if (missing <= 0) return text;
  // Decoded anew, because a part of a string keeps the whole of it in memory.
  const kept = utf8Text(utf8Bytes(text.slice(0, ENTRY_LENGTH_MAX)));
  return `${kept} ... (${missing} more characters)`;
}
