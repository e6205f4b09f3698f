/**
 * Reading the settings again while the agent runs.
 *
 * Five settings change at once: the log level, the tags, the event handlers, and
 * which signals leave the cluster. Of the others we say which have changed, since
 * they wait for the next start. Settings that cannot be read change nothing, also
 * those that take too long, as on a disk that hangs.
 *
 * Source: serf `command.go`, handleReload; what needs a restart is our addition.
 */

import { formatDuration } from "../kit/duration.ts";
import type { LogLevel } from "../kit/log.ts";
import { readLogLevel } from "./config.ts";
import { CONFIG_KEYS, type ConfigKey } from "./config_keys.ts";
import { ConfigError, type MergedSettings } from "./config_layer.ts";
import { type EventHandler, parseHandler } from "./handler_spec.ts";
import { type Pause, pause } from "./pause.ts";

/**
 * Longest wait for the files, ms. They are small, and on this machine or a server
 * close by.
 */
export const READ_LIMIT_MS = 10_000;

/** What a reload changes. */
export interface ReloadTarget {
  setLogLevel(level: LogLevel): void;
  /** From the next event on. */
  replaceHandlers(handlers: readonly EventHandler[]): void;
  /** @throws {Error} when the new tags cannot be used; the old ones stay */
  setTags(tags: ReadonlyMap<string, string>): Promise<void>;
  /** Prints one message. */
  say(message: string): void;
}

export class Reloader {
  readonly #target: ReloadTarget;
  readonly #atStart: MergedSettings;
  readonly #pause: Pause;
  #current: MergedSettings;
  /** What is being read; there is one at a time, however long it takes. */
  #reading: Promise<MergedSettings> | undefined;

  /**
   * @param settings those that the agent was started with
   * @param wait the clock of the machine unless given
   */
  constructor(
    settings: MergedSettings,
    target: ReloadTarget,
    wait: Pause = pause,
  ) {
    this.#atStart = settings;
    this.#current = settings;
    this.#target = target;
    this.#pause = wait;
  }

  /** The settings that are in force, as far as they can change. */
  get current(): MergedSettings {
    return this.#current;
  }

  /**
   * Takes over what `read` gives.
   *
   * @param read reads all sources; a `ConfigError` says why it cannot
   */
  async reload(read: () => Promise<MergedSettings>): Promise<void> {
    const target = this.#target;
    target.say("Reloading configuration...");
    let next: MergedSettings;
    try {
      next = await this.#readWithin(READ_LIMIT_MS, read);
    } catch (error) {
      if (!(error instanceof ConfigError)) throw error;
      target.say(error.message);
      target.say("Failed to reload configs");
      return;
    }
    try {
      target.setLogLevel(readLogLevel(next.logLevel));
    } catch (error) {
      target.say((error as Error).message);
      next = { ...next, logLevel: this.#current.logLevel };
    }
    this.#current = next;
    target.replaceHandlers(next.eventHandlers.map(parseHandler));
    try {
      await target.setTags(next.tags);
    } catch (error) {
      target.say(`Failed to update tags: ${(error as Error).message}`);
    }
    this.#tellWaiting(next);
  }

  // --- Inside ---------------------------------------------------------------

  /** @throws {ConfigError} when it takes longer, or the last one still does */
  async #readWithin(
    limitMs: number,
    read: () => Promise<MergedSettings>,
  ): Promise<MergedSettings> {
    if (this.#reading !== undefined) {
      throw new ConfigError(
        "The files of the last reload are still being read",
      );
    }
    const reading = read();
    this.#reading = reading;
    const forget = () => this.#reading = undefined;
    reading.then(forget, forget);
    const isRead = new AbortController();
    const late = async (): Promise<never> => {
      await this.#pause(limitMs, isRead.signal);
      throw new ConfigError(
        `The files could not be read within ${formatDuration(limitMs)}`,
      );
    };
    try {
      return await Promise.race([reading, late()]);
    } finally {
      isRead.abort();
    }
  }

  #tellWaiting(next: MergedSettings): void {
    const waiting = changedKeys(this.#atStart, next)
      .filter(({ isReloaded, isIdle }) => !isReloaded && !isIdle)
      .map(({ key, flag, isFlagOnly }) => isFlagOnly ? `-${flag}` : key);
    if (waiting.length > 0) {
      this.#target.say(
        `Changed, but used only after a restart: ${waiting.join(", ")}`,
      );
    }
  }
}

function changedKeys(
  before: MergedSettings,
  after: MergedSettings,
): ConfigKey[] {
  return CONFIG_KEYS.filter(({ setting }) =>
    comparable(before[setting]) !== comparable(after[setting])
  );
}

function comparable(value: unknown): string {
  return JSON.stringify(value instanceof Map ? [...value].sort() : value);
}
