/**
 * Regular expressions as the pure layers see them: something that is handed in.
 *
 * The engine for them (`re2.ts`) is large, and most filters are plain words. So
 * the code that filters takes a compiler as an argument, and its callers load
 * one only when there is an expression that needs it.
 */

/** Whether a text contains a match. */
export type Matcher = (text: string) => boolean;

/**
 * Makes a matcher of an expression in RE2 syntax.
 *
 * @throws {SyntaxError} `error parsing regexp: ...`
 */
export type CompileExpression = (expression: string) => Matcher;

/** Text in which no character means anything but itself. */
const PLAIN = /^[\w\-:/@ ,]*$/;

/** Whether an expression matches its own text and nothing else. */
export function isPlainExpression(expression: string): boolean {
  return PLAIN.test(expression);
}
