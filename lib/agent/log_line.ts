/**
 * One entry of the log as text, and as JSON.
 *
 * The text is the original's. The original has no JSON; its sister programs do
 * (Consul, Nomad and Vault, with `-log-json`), and our objects have the keys of
 * theirs, for which many collectors of logs are set up already.
 *
 * Source: Go's `log` package (LstdFlags); hashicorp/go-hclog, `intlogger.go`
 * (jsonMapEntry).
 */

import type { LogLevel } from "../kit/log.ts";
import { visibleText } from "../kit/visible.ts";

/** The levels in go-hclog's words. */
const JSON_LEVELS: Readonly<Record<LogLevel, string>> = {
  TRACE: "trace",
  DEBUG: "debug",
  INFO: "info",
  WARN: "warn",
  ERR: "error",
};

/** `2026/11/20 12:49:06 [INFO] agent: text`, without a line break at its end. */
export function textLogLine(at: Date, level: LogLevel, text: string): string {
  return `${formatTime(at)} [${level}] ${text}`;
}

/**
 * An object in one line, with its line break:
 *
 *     {"@timestamp":"2026-11-20T11:49:06.000Z","@level":"info",
 *      "@module":"agent","@message":"text"}
 *
 * @param text with its component in front, if it has one: `agent: text`
 * @param fields what else there is to know; no key begins with `@`
 */
export function jsonLogLine(
  at: Date,
  level: LogLevel,
  text: string,
  fields: Readonly<Record<string, unknown>> = {},
): string {
  const [, module, rest] = /^([a-z]+(?:\.[a-z]+)*): (.*)$/s.exec(text) ?? [];
  const entry = {
    "@timestamp": at.toISOString(),
    "@level": JSON_LEVELS[level],
    ...(module !== undefined && { "@module": module }),
    "@message": rest ?? text,
    ...fields,
  };
  // What JSON lets stand is written as JSON's escapes: the same text to a reader.
  return `${visibleText(JSON.stringify(entry))}\n`;
}

/** `2026/11/20 12:49:06` in local time. */
export function formatTime(at: Date): string {
  const two = (value: number) => String(value).padStart(2, "0");
  const date = [at.getFullYear(), two(at.getMonth() + 1), two(at.getDate())];
  const time = [at.getHours(), at.getMinutes(), at.getSeconds()].map(two);
  return `${date.join("/")} ${time.join(":")}`;
}
