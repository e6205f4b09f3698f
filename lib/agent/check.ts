/**
 * Checking a configuration without starting an agent.
 *
 * Everything that a start would find is looked for, in its order, and the search
 * goes on after a mistake: a file with a wrong key still says what its other keys
 * say. A file that is no JSON may say anything; what the other sources say is then
 * judged as far as that file cannot change it.
 *
 * Not for: printing (`cmd/agent_check.ts`).
 */

import {
  type ConfigError,
  type ConfigWorld,
  mergeSettings,
  resolveSettings,
} from "./config.ts";
import { CONFIG_KEYS, PATH } from "./config_keys.ts";
import type { MergedSettings, SettingsLayer } from "./config_layer.ts";
import { explainError, originsOf } from "./config_merge.ts";
import { configFiles } from "./config_path.ts";
import {
  type SecuritySummary,
  securityWarnings,
  summarizeSecurity,
} from "./security.ts";
import {
  engineProblems,
  missingDirectories,
  outsideProblems,
} from "./start_checks.ts";

/** What came of a check. */
export interface CheckReport {
  /** What a start would fail with, each as it would be printed; empty if nothing. */
  readonly problems: readonly string[];
  /** What a start would say before it begins, and what does not count. */
  readonly notes: readonly string[];
  /** The settings, unless a source could not be read. */
  readonly merged?: MergedSettings;
  /** Who can do what, with these settings. */
  readonly security?: SecuritySummary;
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
  const hearing = { ...world, say: (message: string) => notes.push(message) };
  const judged: ConfigError[] = [];
  const add = (error: ConfigError) => void judged.push(error);
  const merged = mergeSettings(layers, hearing, add);
  await resolveSettings(merged, hearing, add);
  judged.push(...engineProblems(merged), ...await outsideProblems(merged));
  mistakes.push(
    ...(isUnreadable
      ? judged.filter((error) => isCertain(error, merged, layers))
      : judged),
  );
  const problems = mistakes.map((error) =>
    explainError(error, layers) + explainFlag(error, flags)
  );
  if (isUnreadable) return { problems, notes: [], layers };
  const settings = { merged, layers };
  const warnings = [
    ...await missingDirectories(merged),
    ...await securityWarnings(settings),
  ];
  notes.push(...warnings.map((warning) => `Warning: ${warning}`));
  for (const { key, setting, isIdle, effect } of CONFIG_KEYS) {
    if (!isIdle) continue;
    const files = layers.filter((layer) => layer[setting] !== undefined);
    for (const { origin } of files) {
      notes.push(
        `Note: '${key}' in ${origin ?? "the command line"}: ${effect}`,
      );
    }
  }
  const security = await summarizeSecurity(settings);
  return { problems, notes, merged, security, layers };
}

/**
 * Whether a mistake is one whatever a file says that could not be read: somebody
 * has given the value, and what it lacks cannot be in that file.
 */
function isCertain(
  { setting }: ConfigError,
  merged: MergedSettings,
  layers: readonly SettingsLayer[],
): boolean {
  if (setting === undefined || originsOf(setting, layers).length === 0) {
    return false;
  }
  return setting !== "mdnsInterface" || merged.discover !== "";
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
  // That it takes a path is no news; what is wrong is with the file.
  if (key.takes === PATH) return "";
  return `\n    -${key.flag} takes ${key.takes}`;
}
