/**
 * The settings that are in force, for people and as a configuration file.
 *
 * Both forms follow the table of keys. Secrets are never shown: the text says
 * that they are set, the file leaves them out and so needs them added before it
 * is used in place of the sources it was made from. What the command line alone
 * can say is missing from the file too.
 */

import { formatDuration } from "../kit/duration.ts";
import { CONFIG_KEYS, type ConfigKey, FILE_KEYS } from "./config_keys.ts";
import {
  type MergedSettings,
  originsOf,
  type SettingsLayer,
} from "./config_layer.ts";
import type { HandlerEntry } from "./handler_spec.ts";

/** A value as a file has it. */
export type ConfigValue =
  | string
  | number
  | boolean
  | readonly HandlerEntry[]
  | ReadonlyMap<string, string>;

/**
 * One line for each key: its name, its value, and who said so.
 *
 * @param layers the sources, for the last column
 */
export function effectiveText(
  merged: MergedSettings,
  layers: readonly SettingsLayer[],
): string[] {
  const rows = keysInForce(CONFIG_KEYS).map((key) => [
    key.isFlagOnly ? `-${key.flag}` : key.key,
    valueText(key, merged),
    sourceText(key, layers),
  ]);
  const widths = [0, 1].map((column) =>
    Math.max(...rows.map((row) => lengthOf(row[column] as string)))
  );
  return rows.map(([name = "", value = "", source = ""]) =>
    [
      padTo(name, widths[0] as number),
      padTo(value, widths[1] as number),
      source,
    ].join("  ")
  );
}

/** The settings as a configuration file; what is empty is left out. */
export function effectiveFile(
  merged: MergedSettings,
): Record<string, ConfigValue | Record<string, ConfigValue>> {
  const file: Record<string, ConfigValue | Record<string, ConfigValue>> = {};
  const inner: Record<string, Record<string, ConfigValue>> = {};
  for (const key of keysInForce(FILE_KEYS)) {
    if (key.isSecret) continue;
    const value = valueOf(key, merged);
    if (isEmpty(value)) continue;
    const [name = "", innerName] = key.key.split(".");
    if (innerName === undefined) file[name] = value;
    else file[name] = Object.assign(inner[name] ??= {}, { [innerName]: value });
  }
  return file;
}

/** All but those that were turned into others, or never count. */
function keysInForce(keys: readonly ConfigKey[]): ConfigKey[] {
  return keys.filter(({ setting, isIdle }) => setting !== "role" && !isIdle);
}

function valueOf(key: ConfigKey, merged: MergedSettings): ConfigValue {
  return key.kind === "duration"
    ? formatDuration(merged[key.setting] as number)
    : merged[key.setting];
}

function isEmpty(value: ConfigValue): boolean {
  if (value instanceof Map) return value.size === 0;
  return value === "" || (Array.isArray(value) && value.length === 0);
}

function valueText(key: ConfigKey, merged: MergedSettings): string {
  const value = valueOf(key, merged);
  if (isEmpty(value)) return "(none)";
  if (key.isSecret) return "(set)";
  if (value instanceof Map) {
    return [...value].map(([name, text]) => `${name}=${text}`).join(", ");
  }
  if (!Array.isArray(value)) return String(value);
  return value.map((item: HandlerEntry) =>
    typeof item === "string" ? item : JSON.stringify(item)
  ).join(", ");
}

function sourceText(key: ConfigKey, layers: readonly SettingsLayer[]): string {
  const origins = originsOf(key.setting, layers);
  // The role is a tag by now.
  if (key.setting === "tags") origins.push(...originsOf("role", layers));
  if (origins.length === 0) return "default";
  const names = origins.map((origin) => origin ?? "command line");
  return [...new Set(names)].join(", ");
}

function lengthOf(text: string): number {
  return [...text].length;
}

function padTo(text: string, width: number): string {
  return text + " ".repeat(width - lengthOf(text));
}
