/**
 * The levels of Serf's log and their order.
 *
 * The pure layers do not log; they emit log lines as outputs. Where a line goes
 * (standard output, the monitor ring, syslog) is decided far above.
 */

/** All levels, the most talkative first. */
export const LOG_LEVELS = ["TRACE", "DEBUG", "INFO", "WARN", "ERR"] as const;

/** Importance of a log line. */
export type LogLevel = typeof LOG_LEVELS[number];

/** Place of a level, 0 for the most talkative. */
export function logLevelRank(level: LogLevel): number {
  return LOG_LEVELS.indexOf(level);
}

/** The level of that name in any case, `undefined` when there is none. */
export function parseLogLevel(text: string): LogLevel | undefined {
  const upper = text.toUpperCase();
  return LOG_LEVELS.find((level) => level === upper);
}
