/**
 * Expressions in the syntax of Go's regexp package (RE2).
 *
 * Filters of members and of queries come from other programs, so an expression
 * must neither mean something else here than on the agent next door nor keep
 * this process busy for ever. RE2 gives both: no back-references, no look-around,
 * and matching in time linear in the text.
 *
 * The engine is `re2js`, a port of RE2 in plain JavaScript. It takes some 10 ms
 * to load: import this file only where an expression is really to be compiled.
 */

import { RE2JS } from "re2js";
import { EXPRESSION_SIZE_MAX, expressionSize } from "./expression.ts";

/**
 * A test for texts that contain a match of `expression`.
 *
 * @throws {SyntaxError} in Go's words: `error parsing regexp: missing closing ]: ...`
 */
export function compileExpression(
  expression: string,
): (text: string) => boolean {
  if (expressionSize(expression) > EXPRESSION_SIZE_MAX) {
    throw new SyntaxError("error parsing regexp: expression too large");
  }
  let compiled: RE2JS;
  try {
    compiled = RE2JS.compile(expression);
  } catch (error) {
    throw new SyntaxError((error as Error).message, { cause: error });
  }
  return (text) => compiled.matcher(text).find();
}
