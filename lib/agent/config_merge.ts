/**
 * What layers of settings mean together, and which of them says what.
 *
 *     defaults, files in their order, flags ──merge──▶ one layer
 *
 * Later layers win, by the rule of the value's kind; the table in
 * `config_keys.ts` knows the kinds.
 *
 * Source: serf `config.go` (MergeConfig).
 */

import { CONFIG_KEYS, type KeyKind, PATH } from "./config_keys.ts";
import {
  type ConfigError,
  DEFAULT_SETTINGS,
  type MergedSettings,
  type SettingName,
  type SettingsLayer,
} from "./config_layer.ts";

/** One layer that says what all of them together mean; later ones win. */
export function mergeLayers(layers: readonly SettingsLayer[]): MergedSettings {
  const merged: Record<string, unknown> = { ...DEFAULT_SETTINGS };
  for (const layer of layers) {
    for (const { setting, kind } of CONFIG_KEYS) {
      const value = layer[setting];
      if (!says(layer, setting)) continue;
      merged[setting] = combine(kind, merged[setting], value);
    }
  }
  return merged as unknown as MergedSettings;
}

/** Whether a layer has an opinion about a setting. */
function says(layer: SettingsLayer, setting: SettingName): boolean {
  const value = layer[setting];
  if (setting === "protocol") return ((value as number) ?? 0) > 0;
  if (Array.isArray(value)) return value.length > 0;
  return value instanceof Map ? value.size > 0 : Boolean(value);
}

/** An opinion on top of what was said before. */
function combine(kind: KeyKind, before: unknown, value: unknown): unknown {
  switch (kind) {
    case "map":
      return new Map([
        ...before as ReadonlyMap<string, string>,
        ...value as ReadonlyMap<string, string>,
      ]);
    case "list":
    case "handlers":
      return [...before as readonly unknown[], ...value as readonly unknown[]];
    case "text":
    case "boolean":
    case "integer":
    case "duration":
      return value;
  }
}

/**
 * Where the value of a setting comes from: all files that add to a list or a
 * map, or the last one that has an opinion.
 *
 * @returns paths, `undefined` among them for the command line; nothing for a
 * default
 */
export function originsOf(
  setting: SettingName,
  layers: readonly SettingsLayer[],
): (string | undefined)[] {
  const kind = CONFIG_KEYS.find((key) => key.setting === setting)?.kind;
  const origins = layers.filter((layer) => says(layer, setting))
    .map(({ origin }) => origin);
  const isSum = kind === "list" || kind === "map" || kind === "handlers";
  return isSum ? origins : origins.slice(-1);
}

/**
 * The message of a complaint, and in a second line which file has the value that
 * it is about, if one has. Who wrote it on the command line knows that.
 */
export function explainError(
  error: ConfigError,
  layers: readonly SettingsLayer[],
): string {
  const { message, setting } = error;
  const key = CONFIG_KEYS.find((each) => each.setting === setting);
  if (key === undefined) return message;
  const files = originsOf(key.setting, layers)
    .filter((origin) => origin !== undefined);
  if (files.length === 0) return message;
  // That it takes a path is no news; what is wrong is with the file.
  const hint = key.takes === PATH
    ? `"${key.key}" names that path`
    : `"${key.key}" takes ${key.takes}`;
  return `${message}\n    ${files.join(", ")}: ${hint}`;
}
