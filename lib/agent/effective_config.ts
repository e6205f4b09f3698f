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
import type { MergedSettings, SettingsLayer } from "./config_layer.ts";
import { originsOf } from "./config_merge.ts";
import type { HandlerEntry } from "./handler_spec.ts";

/** Width of the column of values; longer ones push their source to the right. */
const VALUE_WIDTH_MAX = 32;

/** A value as a file has it. */
export type ConfigValue =
  | string
  | number
  | boolean
  | readonly HandlerEntry[]
  | ReadonlyMap<string, string>;

/**
 * A line for each key: its name, its value, and who said so. Handlers have a line
 * each.
 *
 * @param layers the sources, for the last column
 */
export function effectiveText(
  merged: MergedSettings,
  layers: readonly SettingsLayer[],
): string[] {
  const rows = keysInForce(CONFIG_KEYS).map((key) => ({
    name: key.isFlagOnly ? `-${key.flag}` : key.key,
    values: shownValues(key, merged),
    source: sourceText(key, layers),
  }));
  const nameWidth = Math.max(...rows.map(({ name }) => lengthOf(name)));
  // A long value keeps to its own line.
  const valueWidth = Math.max(
    ...rows.flatMap(({ values }) => values).map(lengthOf)
      .filter((length) => length <= VALUE_WIDTH_MAX),
  );
  return rows.flatMap(({ name, values, source }) =>
    values.map((value, i) =>
      [
        padTo(i === 0 ? name : "", nameWidth),
        i === 0 ? padTo(value, valueWidth) : value,
        ...(i === 0 ? [source] : []),
      ].join("  ")
    )
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

/** What is shown of a value; of handlers, a line for each. */
function shownValues(key: ConfigKey, merged: MergedSettings): string[] {
  const value = valueOf(key, merged);
  if (isEmpty(value)) return ["(none)"];
  if (key.isSecret) return ["(set)"];
  if (value instanceof Map) {
    return [[...value].map(([name, text]) => `${name}=${text}`).join(", ")];
  }
  if (!Array.isArray(value)) return [String(value)];
  const items = value.map((item: HandlerEntry) =>
    typeof item === "string" ? item : JSON.stringify(item)
  );
  return key.kind === "handlers" ? items : [items.join(", ")];
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
  return text + " ".repeat(Math.max(0, width - lengthOf(text)));
}
