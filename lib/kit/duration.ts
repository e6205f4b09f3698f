/**
 * Durations as text: `300ms`, `1.5h`, `2h45m`, and back.
 *
 * Flags and configuration files of Serf use the notation of Go's time package;
 * the rules and the wording of complaints come from there (ParseDuration and
 * Duration.String). Values are milliseconds and may have a fraction, down to a
 * nanosecond.
 */

const UNITS_MS: ReadonlyMap<string, number> = new Map([
  ["ns", 1e-6],
  ["us", 1e-3],
  ["\u00b5s", 1e-3],
  ["\u03bcs", 1e-3],
  ["ms", 1],
  ["s", 1_000],
  ["m", 60_000],
  ["h", 3_600_000],
]);

/** Go keeps a duration in 64 bits of nanoseconds: about 292 years. */
const DURATION_MS_MAX = 2 ** 63 / 1e6;
const NS_PER_MS = 1e6;
const DURATION_NS_MAX = 2n ** 63n - 1n;

/**
 * A duration as it travels: nanoseconds, signed 64 bits.
 *
 * @param ms a finite number; what does not fit becomes the longest that does
 */
export function nanosecondsOf(ms: number): bigint {
  const ns = BigInt(Math.round(ms * NS_PER_MS));
  if (ns > DURATION_NS_MAX) return DURATION_NS_MAX;
  return ns < -DURATION_NS_MAX ? -DURATION_NS_MAX : ns;
}

/** Milliseconds of a duration that has travelled; exact up to about 104 days. */
export function millisecondsOf(ns: bigint): number {
  return Number(ns) / NS_PER_MS;
}

/**
 * Milliseconds of a duration text.
 *
 * One or more groups of a decimal number and a unit, with a sign in front if
 * wanted. A plain `0` needs no unit.
 *
 * @throws {SyntaxError} in Go's words, for example
 * `time: missing unit in duration "5"`
 */
export function parseDuration(text: string): number {
  const isNegative = text.startsWith("-");
  let rest = isNegative || text.startsWith("+") ? text.slice(1) : text;
  if (rest === "0") return 0;
  if (rest === "") throw new SyntaxError(invalid(text));
  let totalMs = 0;
  while (rest !== "") {
    const number = /^\d*\.?\d*/.exec(rest)?.[0] ?? "";
    if (number === "" || number === ".") throw new SyntaxError(invalid(text));
    rest = rest.slice(number.length);
    const unit = /^[^.\d]*/.exec(rest)?.[0] ?? "";
    if (unit === "") {
      throw new SyntaxError(
        `time: missing unit in duration ${quoteAscii(text)}`,
      );
    }
    const unitMs = UNITS_MS.get(unit);
    if (unitMs === undefined) {
      throw new SyntaxError(
        `time: unknown unit ${quoteAscii(unit)} in duration ${
          quoteAscii(text)
        }`,
      );
    }
    rest = rest.slice(unit.length);
    totalMs += Number(number) * unitMs;
  }
  if (!(totalMs < DURATION_MS_MAX)) throw new SyntaxError(invalid(text));
  return isNegative ? -totalMs : totalMs;
}

/** A duration of `ms` milliseconds as Go prints it: `1s`, `1m30s`, `500ms`. */
export function formatDuration(ms: number): string {
  const sign = ms < 0 ? "-" : "";
  let ns = BigInt(Math.round(Math.abs(ms) * 1e6));
  if (ns === 0n) return "0s";
  if (ns < 1_000n) return `${sign}${ns}ns`;
  if (ns < 1_000_000n) return `${sign}${fraction(ns, 3)}\u00b5s`;
  if (ns < 1_000_000_000n) return `${sign}${fraction(ns, 6)}ms`;
  const hours = ns / 3_600_000_000_000n;
  ns %= 3_600_000_000_000n;
  const minutes = ns / 60_000_000_000n;
  ns %= 60_000_000_000n;
  const head = hours > 0n
    ? `${hours}h${minutes}m`
    : minutes > 0n
    ? `${minutes}m`
    : "";
  return `${sign}${head}${fraction(ns, 9)}s`;
}

/** `value / 10^digits` in decimal, without trailing zeros. */
function fraction(value: bigint, digits: number): string {
  const text = value.toString().padStart(digits + 1, "0");
  const whole = text.slice(0, -digits);
  const tail = text.slice(-digits).replace(/0+$/, "");
  return tail === "" ? whole : `${whole}.${tail}`;
}

function invalid(text: string): string {
  return `time: invalid duration ${quoteAscii(text)}`;
}

/** The time package quotes by itself: everything outside ASCII as `\xNN`. */
function quoteAscii(text: string): string {
  let quoted = "";
  for (const byte of new TextEncoder().encode(text)) {
    const char = String.fromCharCode(byte);
    if (char === '"' || char === "\\") quoted += `\\${char}`;
    else if (byte < 0x20 || byte >= 0x80) {
      quoted += `\\x${byte.toString(16).padStart(2, "0")}`;
    } else quoted += char;
  }
  return `"${quoted}"`;
}
