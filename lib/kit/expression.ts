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
 * Work of compiling a class of Unicode, such as `\pL`: once for reading its
 * hundreds of ranges, more where case is folded, and each time it is repeated.
 */
const UNICODE_CLASS = { once: 16, onceFolded: 64, each: 4 };
/** Items of a class in brackets that make each repetition of it dearer by one. */
const ITEMS_PER_UNIT = 128;
/** Characters of a range in brackets that are folded with the work of one unit. */
const FOLDED_PER_UNIT = 128;
/** First and last character that has another case. */
const FOLDABLE = { min: 0x41, max: 0x1e943 };

/**
 * How large an expression is, in units of work for the engine: what it consists of
 * once its counted repetitions are written out, or its characters, if they are
 * more.
 *
 * RE2 takes time in proportion to the former: three hundred times `.{1000}` fit
 * into 2,100 characters. A character, an escape and a simple class count as one.
 * Classes with many ranges count for more, and so do ranges of which every
 * character is folded: 800 times `[!-ﾟ]` behind `(?i)` take two seconds. What is no
 * valid expression has some size too. Beyond `EXPRESSION_SIZE_MAX` characters
 * nothing else is looked at.
 *
 * One unit takes up to 0.02 ms to compile (2 GHz, one core). To match takes up to
 * as long for each unit and 128 characters of text, see `matchWork`.
 */
export function expressionSize(expression: string): number {
  if (expression.length > EXPRESSION_SIZE_MAX) return expression.length;
  const isFolded = FOLDING.test(expression);
  /** Sizes of the groups that are open, up to where each was interrupted. */
  const outer: number[] = [];
  let size = 0;
  /** Of what a repetition would repeat, and is counted in `size`. */
  let last = 0;
  /** Work that repetitions do not repeat. */
  let once = 0;
  for (let at = 0; at < expression.length;) {
    // Most characters mean little or nothing, and need no search.
    if (!SPECIAL.includes(expression.charAt(at))) {
      const isPair = (expression.codePointAt(at) as number) > 0xffff;
      at += isPair ? 2 : 1;
      size += last = 1;
      continue;
    }
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
    } else if (token.startsWith("\\Q")) {
      last = 1;
      size += token.length;
    } else {
      const work = classWork(token, isFolded);
      last = work.each;
      size += last;
      once += work.once;
    }
  }
  for (const rest of outer) size += rest;
  return Math.max(size + once, expression.length);
}

/** Characters that are matched with one unit of work for each unit of size. */
const MATCHED_PER_UNIT = 128;

/** Work of looking for an expression of that size in a text, in the same units. */
export function matchWork(size: number, textLength: number): number {
  return Math.ceil(size * (textLength + 1) / MATCHED_PER_UNIT);
}

/** Work of a single character or class: once, and for each time it is repeated. */
function classWork(
  token: string,
  isFolded: boolean,
): { once: number; each: number } {
  if (isUnicodeClass(token)) {
    return { once: unicodeOnce(isFolded), each: UNICODE_CLASS.each };
  }
  if (token.length < 2 || !token.startsWith("[")) {
    return { once: 0, each: Math.min(1, token.length) };
  }
  let once = 0;
  let items = 0;
  let each = 1;
  for (const [item, from, to] of token.slice(1).matchAll(CLASS_ITEM)) {
    items++;
    if (isUnicodeClass(item)) {
      once += unicodeOnce(isFolded);
      each += UNICODE_CLASS.each;
    } else if (isFolded && from !== undefined && to !== undefined) {
      const first = Math.max(codeOf(from), FOLDABLE.min);
      const last = Math.min(codeOf(to), FOLDABLE.max);
      once += Math.max(0, Math.ceil((last - first) / FOLDED_PER_UNIT));
    }
  }
  return { once, each: each + Math.floor(items / ITEMS_PER_UNIT) };
}

function isUnicodeClass(token: string): boolean {
  return token.startsWith("\\p") || token.startsWith("\\P");
}

function unicodeOnce(isFolded: boolean): number {
  return isFolded ? UNICODE_CLASS.onceFolded : UNICODE_CLASS.once;
}

/** The character that begins or ends a range; 0 for an escape, which is below all. */
function codeOf(end: string): number {
  const hex = /^\\x\{?([0-9a-fA-F]+)/.exec(end)?.[1];
  if (hex !== undefined) return parseInt(hex, 16);
  return end.startsWith("\\") ? 0 : end.codePointAt(0) ?? 0;
}

/** Characters that begin a piece of more than themselves, or are counted apart. */
const SPECIAL = "\\[(){";

/** A flag that folds case, for a group or for what follows. */
const FOLDING = /\(\?\w*i/;

/**
 * The next piece of an expression: a counted repetition, whose numbers are
 * captured; a quotation; an escape; a class; else one character.
 */
const TOKEN =
  /\{(\d{1,9}(?:,\d{0,9})?)\}|\\Q.*?(?:\\E|$)|\\[pPx]\{[^}]*\}|\\[pP][A-Z]|\\.?|\[\^?\]?(?:\[:\w*:\]|\\.|[^\]\\])*\]?|./suy;

/**
 * The next piece inside brackets: a named class; a class of Unicode; a character
 * or a range, whose ends are captured.
 */
const CLASS_ITEM =
  /\[:\^?\w*:\]|\\[pP](?:\{[^}]*\}|.)|(\\x\{[^}]*\}|\\x..|\\.|[^\\])(?:-(\\x\{[^}]*\}|\\x..|\\.|[^\]\\]))?/gsu;
