/**
 * Reading the settings again while the agent runs.
 *
 * Five settings change at once: the log level, the tags, the event handlers, and
 * which signals leave the cluster. Of the others we say which have changed, since
 * they wait for the next start. Settings that cannot be read change nothing.
 *
 * Source: serf `command.go`, handleReload; what needs a restart is our addition.
 */

import type { LogLevel } from "../kit/log.ts";
import { readLogLevel } from "./config.ts";
import { CONFIG_KEYS, type ConfigKey } from "./config_keys.ts";
import { ConfigError, type MergedSettings } from "./config_layer.ts";
import { type EventHandler, parseHandler } from "./handler_spec.ts";

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
  #current: MergedSettings;

  /** @param settings those that the agent was started with */
  constructor(settings: MergedSettings, target: ReloadTarget) {
    this.#atStart = settings;
    this.#current = settings;
    this.#target = target;
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
      next = await read();
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
    const waiting = changedKeys(this.#atStart, next)
      .filter(({ isReloaded, isIdle }) => !isReloaded && !isIdle)
      .map(({ key, flag, isFlagOnly }) => isFlagOnly ? `-${flag}` : key);
    if (waiting.length > 0) {
      target.say(
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
