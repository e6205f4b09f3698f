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

/** Largest expression that is of any use, see `expressionSize`. */
export const EXPRESSION_SIZE_MAX = 4_096;

/**
 * How large an expression is: its characters, or what it consists of once its
 * counted repetitions are written out, if that is more.
 *
 * RE2 takes time in proportion to the latter, not to the characters: three hundred
 * times `.{1000}` fit into 2,100 of them. A class, an escape and a character count
 * as one each. What is no valid expression has some size too. Beyond
 * `EXPRESSION_SIZE_MAX` characters nothing else is looked at.
 */
export function expressionSize(expression: string): number {
  if (expression.length > EXPRESSION_SIZE_MAX) return expression.length;
  /** Sizes of the groups that are open, up to where each was interrupted. */
  const outer: number[] = [];
  let size = 0;
  /** Of what a repetition would repeat, and is counted in `size`. */
  let last = 0;
  for (let at = 0; at < expression.length;) {
    TOKEN.lastIndex = at;
    const [token = "", times] = TOKEN.exec(expression) ?? [];
    at += token.length;
    if (times !== undefined) {
      // `{2,5}` are at most 5, `{2,}` are 2 and a star.
      const most = Math.max(1, ...times.split(",").map(Number));
      size += last * (most - 1);
      last *= most;
    } else if (token === "(") {
      outer.push(size);
      size = last = 0;
    } else if (token === ")") {
      last = size + 1;
      size = (outer.pop() ?? 0) + last;
    } else {
      last = token.startsWith("\\Q") ? 1 : Math.min(1, token.length);
      size += token.startsWith("\\Q") ? token.length : last;
    }
  }
  for (const rest of outer) size += rest;
  return Math.max(size, expression.length);
}

/**
 * The next piece of an expression: a counted repetition, whose numbers are
 * captured; a quotation; an escape; a class; else one character.
 */
const TOKEN =
  /\{(\d{1,9}(?:,\d{0,9})?)\}|\\Q.*?(?:\\E|$)|\\[pPx]\{[^}]*\}|\\[pP][A-Z]|\\.?|\[\^?\]?(?:\[:\w*:\]|\\.|[^\]\\])*\]?|./suy;
