/**
 * `key=value` arguments, as `-tag` takes them. Source: `docs/protocol/cli.md`
 * 1.6.
 */

/**
 * Pairs by key; of a key given twice the last value counts.
 *
 * @throws {SyntaxError} `Invalid tag: 'TEXT'` when there is no `=` or no key
 */
export function parsePairs(texts: readonly string[]): Map<string, string> {
  const pairs = new Map<string, string>();
  for (const text of texts) {
    const equals = text.indexOf("=");
    if (equals <= 0) throw new SyntaxError(`Invalid tag: '${text}'`);
    pairs.set(text.slice(0, equals), text.slice(equals + 1));
  }
  return pairs;
}
