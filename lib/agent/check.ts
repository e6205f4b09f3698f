/**
 * Checking a configuration without starting an agent.
 *
 * Everything that a start would find is looked for, in its order, and the search
 * goes on after a mistake where that is safe: a file with a wrong key still says
 * what its other keys say, but a file that is no JSON may say anything, and then
 * what the sources mean together is not judged.
 *
 * Not for: printing (`cmd/agent_check.ts`).
 */

import {
  type ConfigError,
  type ConfigWorld,
  mergeSettings,
  resolveSettings,
} from "./config.ts";
import { CONFIG_KEYS } from "./config_keys.ts";
import {
  explainError,
  type MergedSettings,
  originsOf,
  type SettingsLayer,
} from "./config_layer.ts";
import { configFiles } from "./config_path.ts";
import { engineProblems, outsideProblems } from "./start_checks.ts";

/** What came of a check. */
export interface CheckReport {
  /** What a start would fail with, each as it would be printed; empty if nothing. */
  readonly problems: readonly string[];
  /** What a start would say before it begins, and what does not count. */
  readonly notes: readonly string[];
  /** The settings, unless a source could not be read. */
  readonly merged?: MergedSettings;
  /** The sources. */
  readonly layers: readonly SettingsLayer[];
}

/**
 * Checks files and flags.
 *
 * @param paths files and directories, in the order of the command line
 * @param flags what the command line says, as far as it could be understood
 * @param flagMistakes what is wrong with it
 */
export async function checkConfiguration(
  paths: readonly string[],
  flags: SettingsLayer,
  flagMistakes: readonly ConfigError[],
  world: ConfigWorld,
): Promise<CheckReport> {
  const notes: string[] = [];
  const mistakes: ConfigError[] = [...flagMistakes];
  const layers: SettingsLayer[] = [];
  let isUnreadable = false;
  for await (const file of configFiles(paths)) {
    layers.push(file.layer);
    if (file.error !== undefined) mistakes.push(file.error);
    isUnreadable ||= file.isUnreadable;
  }
  layers.push(flags);
  const report = () =>
    mistakes.map((error) =>
      explainError(error, layers) + explainFlag(error, flags)
    );
  if (isUnreadable) return { problems: report(), notes, layers };
  const hearing = { ...world, say: (message: string) => notes.push(message) };
  const add = (error: ConfigError) => void mistakes.push(error);
  const merged = mergeSettings(layers, hearing, add);
  await resolveSettings(merged, hearing, add);
  mistakes.push(...engineProblems(merged), ...await outsideProblems(merged));
  for (const { key, setting, isIdle, effect } of CONFIG_KEYS) {
    if (!isIdle) continue;
    const files = layers.filter((layer) => layer[setting] !== undefined);
    for (const { origin } of files) {
      notes.push(
        `Note: '${key}' in ${origin ?? "the command line"}: ${effect}`,
      );
    }
  }
  return { problems: report(), notes, merged, layers };
}

/**
 * What a flag at fault takes, as a second line; nothing for a file's mistake, which
 * `explainError` explains, and for lists, which files write in another way.
 */
function explainFlag({ setting }: ConfigError, flags: SettingsLayer): string {
  const key = CONFIG_KEYS.find((each) => each.setting === setting);
  if (key?.flag === undefined || flags[key.setting] === undefined) return "";
  if (originsOf(key.setting, [flags]).length === 0) return "";
  if (!["text", "integer", "duration"].includes(key.kind)) return "";
  // That it takes a path is no news; what is wrong is in the file.
  if (key.takes === "a path") return "";
  return `\n    -${key.flag} takes ${key.takes}`;
}
