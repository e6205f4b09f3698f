/**
 * What one configuration file says: from its text to a layer of settings.
 *
 * A file is one JSON object; the table in `config_keys.ts` lists its keys. Names
 * of keys match without regard to case, types are strict, `null` says nothing,
 * and what follows the object does not count. Complaints begin with the words
 * of the original, which lists all problems of a file at once, sorted; below them
 * we say, in the same order, in which lines they are and what would be right:
 *
 *     2 error(s) decoding:
 *
 *     * '' has invalid keys: nodename
 *     * 'protocol' expected type 'int', got unconvertible type 'string', value: '5'
 *         line 2: did you mean "node_name" instead of "nodename"?
 *         line 3: "protocol" takes a whole number from 2 to 5
 *
 * Event handlers may be objects too, which is our addition.
 *
 * Not for: finding and reading files (`config_path.ts`), and whether the values
 * make sense together (`config.ts`).
 *
 * Source: serf `config.go` (DecodeConfig); mapstructure 1.x, whose words these
 * are.
 */

import { unreachable } from "../kit/assert.ts";
import { parseDuration } from "../kit/duration.ts";
import {
  goValueText,
  isMap,
  type JsonDocument,
  type JsonRead,
  JsonSyntaxError,
  readFirstJson,
} from "../kit/json_reader.ts";
import { compareText } from "../kit/json_writer.ts";
import { nearest } from "../kit/nearest.ts";
import {
  CONFIG_KEYS,
  type ConfigKey,
  FILE_KEYS,
  IDLE_KEYS,
} from "./config_keys.ts";
import type { SettingsLayer } from "./config_layer.ts";
import { fileText } from "./file_text.ts";
import type { HandlerObject } from "./handler_spec.ts";

/** What a file says, as far as it could be understood. */
export interface DecodedConfig {
  /** What is right in it; without the keys that are wrong. */
  readonly layer: SettingsLayer;
  /** What is wrong, if anything is. */
  readonly problem?: string;
  /** Whether the file is no JSON object at all, so that nothing of it is known. */
  readonly isUnreadable: boolean;
}

/** Integers beyond this are not exact. */
const INTEGER_MAX = Number.MAX_SAFE_INTEGER;
const ROOM_FOR_HINTS = "    ";

/**
 * Decodes the bytes of a file; nothing is thrown.
 *
 * The mark at the beginning that some editors leave is no JSON, and is shown as an
 * error rather than swallowed, as the original does.
 */
export function decodeConfigFile(bytes: Uint8Array): DecodedConfig {
  try {
    return decodeConfig(fileText(bytes));
  } catch (error) {
    return notJson(error);
  }
}

/** Decodes the text of a file; nothing is thrown. */
export function decodeConfig(text: string): DecodedConfig {
  let document: JsonDocument;
  try {
    document = readFirstJson(text);
  } catch (error) {
    return notJson(error);
  }
  const { value, keyLines } = document;
  if (value === null) return { layer: {}, isUnreadable: false };
  if (!isMap(value)) {
    return unreadable(
      `'' expected a map, got '${mapstructureKind(value)}'\n` +
        `${ROOM_FOR_HINTS}the file must be an object: { ... }`,
    );
  }
  return new Decoder(keyLines).decode(value);
}

function notJson(error: unknown): DecodedConfig {
  if (!(error instanceof JsonSyntaxError)) throw error;
  const { message, line, column } = error;
  return unreadable(
    `${message}\n${ROOM_FOR_HINTS}at line ${line}, column ${column}`,
  );
}

function unreadable(problem: string): DecodedConfig {
  return { layer: {}, problem, isUnreadable: true };
}

/** What is wrong with one key, or with all that are unknown. */
interface Problem {
  /** One line, in the original's words. */
  readonly text: string;
  readonly hints: readonly string[];
}

class Decoder {
  readonly #keyLines: ReadonlyMap<string, number>;
  readonly #layer: Record<string, unknown> = {};
  readonly #problems: Problem[] = [];
  /** Texts that are no durations, by key; the original stops at one. */
  readonly #badDurations = new Map<string, Problem>();
  /** Name in the file of the key that is being decoded. */
  #written = "";

  constructor(keyLines: ReadonlyMap<string, number>) {
    this.#keyLines = keyLines;
  }

  decode(document: ReadonlyMap<string, JsonRead>): DecodedConfig {
    const root = this.#flatten(document);
    const unused = new Set(root.keys());
    for (const key of FILE_KEYS) {
      const written = findKey(root, key.key);
      if (written === undefined) continue;
      unused.delete(written);
      const value = root.get(written) as JsonRead;
      if (value === null) continue;
      this.#written = written;
      this.#layer[key.setting] = this.#read(key, value);
    }
    for (const written of unused) {
      if (isOneOf(IDLE_KEYS, written)) unused.delete(written);
    }
    this.#complainOf(unused);
    return {
      layer: this.#layer as SettingsLayer,
      isUnreadable: false,
      ...this.#summary(),
    };
  }

  /** Keys of inner objects get the name of the outer one in front. */
  #flatten(
    document: ReadonlyMap<string, JsonRead>,
  ): ReadonlyMap<string, JsonRead> {
    const root = new Map(document);
    const written = findKey(document, MDNS);
    const inner = written === undefined ? null : document.get(written) ?? null;
    if (written === undefined) return root;
    root.delete(written);
    this.#written = written;
    if (isMap(inner)) {
      const unknown: string[] = [];
      for (const [name, value] of inner) {
        const key = `${MDNS}.${name}`;
        if (KEY_NAMES.includes(key.toLowerCase())) root.set(key, value);
        else unknown.push(name);
      }
      if (unknown.length > 0) {
        const names = unknown.sort().join(", ");
        this.#complain(
          `'${written}' has invalid keys: ${names}`,
          unknown.flatMap((name) =>
            this.#suggestion(name, nearest(name, MDNS_NAMES))
          ),
        );
      }
    } else if (inner !== null) {
      const kind = mapstructureKind(inner);
      this.#complain(`'${written}' expected a map, got '${kind}'`, [
        this.#hint(`"${MDNS}" takes an object, such as {"interface": "eth0"}`),
      ]);
    }
    return root;
  }

  // --- Values ---------------------------------------------------------------

  /** @returns `undefined` after a complaint */
  #read(key: ConfigKey, value: JsonRead): unknown {
    switch (key.kind) {
      case "text":
        return this.#text(key, key.key, value);
      case "boolean":
        if (typeof value === "boolean") return value;
        return this.#refuseType(key, key.key, "bool", value);
      case "integer":
        return this.#integer(key, value);
      case "duration":
        return this.#duration(key, value);
      case "list":
        return this.#list(
          key,
          value,
          (name, item) => this.#text(key, name, item),
        );
      case "map":
        return this.#map(key, value);
      case "handlers":
        return this.#list(
          key,
          value,
          (name, item) =>
            isMap(item)
              ? this.#handler(name, item)
              : this.#text(key, name, item),
        );
      default:
        return unreachable(key);
    }
  }

  #text(key: ConfigKey, name: string, value: JsonRead): string | undefined {
    if (typeof value === "string") return value;
    return this.#refuseType(key, name, "string", value);
  }

  #integer(
    key: ConfigKey & { min?: number },
    value: JsonRead,
  ): number | undefined {
    if (typeof value !== "number") {
      return this.#refuseType(key, key.key, "int", value);
    }
    const whole = Math.trunc(value);
    const isInRange = Math.abs(whole) <= INTEGER_MAX &&
      whole >= (key.min ?? -INTEGER_MAX);
    if (isInRange) return whole;
    return this.#refuse(
      key,
      `'${key.key}' is out of range, value: '${goValueText(value)}'`,
    );
  }

  #duration(
    key: ConfigKey & { min?: number },
    value: JsonRead,
  ): number | undefined {
    const text = this.#text(key, key.key, value);
    if (text === undefined || text === "") return undefined;
    let ms: number;
    try {
      ms = parseDuration(text);
    } catch (error) {
      this.#badDurations.set(key.key, {
        text: (error as Error).message,
        hints: [this.#hintOf(key)],
      });
      return undefined;
    }
    if (ms >= (key.min ?? -Infinity)) return ms;
    return this.#refuse(key, `'${key.key}' is out of range, value: '${text}'`);
  }

  #list<T>(
    key: ConfigKey,
    value: JsonRead,
    readItem: (name: string, item: JsonRead) => T | undefined,
  ): T[] | undefined {
    if (!Array.isArray(value)) {
      return this.#refuse(
        key,
        `'${key.key}': source data must be an array or slice, ` +
          `got ${mapstructureKind(value)}`,
      );
    }
    return value.flatMap((item, i) =>
      item === null ? [] : readItem(`${key.key}[${i}]`, item) ?? []
    );
  }

  #map(key: ConfigKey, value: JsonRead): Map<string, string> | undefined {
    if (!isMap(value)) {
      return this.#refuse(
        key,
        `'${key.key}' expected a map, got '${mapstructureKind(value)}'`,
      );
    }
    const entries = new Map<string, string>();
    for (const [name, item] of value) {
      const text = this.#text(key, `${key.key}[${name}]`, item ?? "");
      if (text !== undefined) entries.set(name, text);
    }
    return entries;
  }

  /** The fields alone; what they mean is for who runs the handler to judge. */
  #handler(
    name: string,
    fields: ReadonlyMap<string, JsonRead>,
  ): HandlerObject | undefined {
    const key = FILE_KEYS.find(({ kind }) => kind === "handlers") as ConfigKey;
    const read: Record<string, unknown> = {};
    const unknown: string[] = [];
    for (const [field, value] of fields) {
      const type = HANDLER_FIELDS.get(field);
      if (type === undefined) unknown.push(field);
      else if (value === null) continue;
      else if (goTypeName(value) === type) {
        read[field] = typeof value === "number" ? Math.trunc(value) : value;
      } else {
        const wanted = type === "float64" ? "int" : type;
        this.#refuseType(key, `${name}.${field}`, wanted, value);
      }
    }
    if (unknown.length > 0) {
      this.#complain(
        `'${name}' has invalid keys: ${unknown.sort().join(", ")}`,
        unknown.flatMap((field) =>
          this.#suggestion(field, nearest(field, HANDLER_FIELDS.keys()))
        ),
      );
    }
    if (!fields.get("script")) {
      return this.#refuse(key, `'${name}' needs a 'script'`);
    }
    return read.script === undefined
      ? undefined
      : read as unknown as HandlerObject;
  }

  // --- Complaints -----------------------------------------------------------

  #refuseType(
    key: ConfigKey,
    name: string,
    expected: string,
    value: JsonRead,
  ): undefined {
    return this.#refuse(
      key,
      `'${name}' expected type '${expected}', got unconvertible type ` +
        `'${goTypeName(value)}', value: '${goValueText(value)}'`,
    );
  }

  #refuse(key: ConfigKey, problem: string): undefined {
    this.#complain(problem, [this.#hintOf(key)]);
    return undefined;
  }

  #complain(text: string, hints: readonly string[]): void {
    this.#problems.push({ text, hints });
  }

  #hintOf({ key, takes }: ConfigKey): string {
    return this.#hint(`"${key}" takes ${takes}`);
  }

  /** Says something about the key that is being decoded. */
  #hint(text: string): string {
    const line = this.#keyLines.get(this.#written) ??
      this.#keyLines.get(this.#written.split(".")[0] as string) ?? 1;
    return `line ${line}: ${text}`;
  }

  #complainOf(unknown: ReadonlySet<string>): void {
    if (unknown.size === 0) return;
    const names = [...unknown].sort();
    const hints = names.flatMap((name) => this.#hintOfUnknown(name));
    this.#complain(`'' has invalid keys: ${names.join(", ")}`, hints);
  }

  #hintOfUnknown(name: string): string[] {
    this.#written = name;
    const flagOnly = CONFIG_KEYS.find(({ key, isFlagOnly }) =>
      isFlagOnly && key === name.toLowerCase()
    );
    if (flagOnly !== undefined) {
      return [this.#hint(`"${name}" is only a flag: -${flagOnly.flag}`)];
    }
    // Users who know the flags write their names: "join", "retry_max".
    const flag = name.replaceAll("_", "-");
    const namesake = FILE_KEYS.find((key) => key.flag === flag)?.key;
    return this.#suggestion(name, namesake ?? nearest(name, KEY_NAMES));
  }

  /** Suggests the key that was meant, if there is one like it. */
  #suggestion(name: string, meant: string | undefined): string[] {
    if (meant === undefined) return [];
    return [
      this.#hint(
        meant === name.toLowerCase()
          ? `"${name}" and "${meant}" are the same key`
          : `did you mean "${meant}" instead of "${name}"?`,
      ),
    ];
  }

  #summary(): { problem?: string } {
    const badDurations = DURATION_ORDER.flatMap((key) =>
      this.#badDurations.get(key) ?? []
    );
    const count = this.#problems.length;
    const problems = this.#problems.sort((a, b) => compareText(a.text, b.text));
    const lines = problems.map(({ text }) => `* ${text}`);
    const text = count > 0
      ? `${count} error(s) decoding:\n\n${lines.join("\n")}`
      : badDurations[0]?.text;
    if (text === undefined) return {};
    const hints = [...problems, ...badDurations].flatMap(({ hints }) => hints)
      .map((hint) => `\n${ROOM_FOR_HINTS}${hint}`);
    return { problem: text + [...new Set(hints)].join("") };
  }
}

const KEY_NAMES: readonly string[] = FILE_KEYS.map(({ key }) => key);

/** The one key whose value is an object with keys of its own. */
const MDNS = "mdns";
const MDNS_NAMES = KEY_NAMES.filter((key) => key.startsWith(`${MDNS}.`))
  .map((key) => key.slice(MDNS.length + 1));

/** The order in which the original looks at durations. */
const DURATION_ORDER: readonly string[] = [
  "reconnect_interval",
  "reconnect_timeout",
  "tombstone_timeout",
  "retry_interval",
  "broadcast_timeout",
];

/** Fields of a handler that is an object, and Go's type of each. */
const HANDLER_FIELDS: ReadonlyMap<string, string> = new Map([
  ["filter", "string"],
  ["script", "string"],
  ["timeout", "string"],
  ["concurrency", "float64"],
  ["on_full", "string"],
]);

/** The name under which an object has a key: as it is, or else in any case. */
function findKey(
  root: ReadonlyMap<string, JsonRead>,
  key: string,
): string | undefined {
  if (root.has(key)) return key;
  for (const written of root.keys()) {
    if (written.toLowerCase() === key) return written;
  }
  return undefined;
}

function isOneOf(keys: ReadonlySet<string>, written: string): boolean {
  const lower = written.toLowerCase();
  return [...keys].some((key) => key.toLowerCase() === lower);
}

/** The kind of a value in Go's reflection. */
function mapstructureKind(value: JsonRead): string {
  if (typeof value !== "object") return GO_TYPES.get(typeof value) as string;
  return Array.isArray(value) ? "slice" : "map";
}

function goTypeName(value: JsonRead): string {
  if (typeof value !== "object") return GO_TYPES.get(typeof value) as string;
  return Array.isArray(value) ? "[]interface {}" : "map[string]interface {}";
}

const GO_TYPES: ReadonlyMap<string, string> = new Map([
  ["string", "string"],
  ["number", "float64"],
  ["boolean", "bool"],
]);
