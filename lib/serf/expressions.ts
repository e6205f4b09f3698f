/**
 * The expressions in filters of queries: compiled, remembered, and paid for.
 *
 * An expression of a few bytes can cost milliseconds, and a packet can bring
 * hundreds of them. So each costs its size when it is compiled, and a part of it
 * when it is matched, out of two budgets: that of the packet's source, and one over
 * all sources, which can be forged. Our own queries have a budget like a source,
 * and do not depend on what others spend.
 *
 * Compiled expressions are remembered: dashboards ask the same over and over, and
 * a filter that is known costs next to nothing even while others exhaust the
 * budgets. Words without any special character need no compiler and cost nothing.
 */

import { Budget, SourceBudgets } from "../kit/budget.ts";
import {
  type CompileExpression,
  EXPRESSION_SIZE_MAX,
  expressionSize,
  isPlainExpression,
  type Matcher,
  matchWork,
} from "../kit/expression.ts";
import { ipOfEndpoint, sourceOfIp } from "../kit/source.ts";
import type { SerfLimits } from "./limits.ts";

/** Where a query came from: the address of a packet or stream; absent for ours. */
export type QuerySource = string | undefined;

/**
 * What became of a test. `tooLarge`: the expressions of the query are too large
 * together. `overBudget`: they would do at another time.
 */
export type TestOutcome =
  | "match"
  | "noMatch"
  | "needsCompiler"
  | "tooLarge"
  | "overBudget";

/**
 * Whether a text contains a match of an expression.
 *
 * @throws {SyntaxError} when the expression is malformed
 */
export type TestExpression = (expression: string, text: string) => TestOutcome;

/** Sources whose budgets are remembered. */
const SOURCES_MAX = 1_024;
/** Most expressions remembered, and their sizes together: some 5 MB at the worst. */
const COMPILED_MAX = 128;
const COMPILED_SIZE_MAX = 16_384;
/**
 * Characters of an expression whose size is found out with the work of one unit.
 * For shorter ones it costs nothing, so that refusing them leaves the budgets to
 * those that fit.
 */
const MEASURED_PER_UNIT = 32;
/** What our own queries are counted as; no address looks so. */
const OWN = "own";

interface Compiled {
  readonly matches: Matcher;
  readonly size: number;
}

export class Expressions {
  readonly #limits: SerfLimits;
  readonly #overAll: Budget;
  readonly #perSource: SourceBudgets;
  #compile: CompileExpression | undefined;
  /** In the order of their last use. */
  readonly #compiled = new Map<string, Compiled>();
  #compiledSize = 0;
  #seenInPacket = 0;

  /** @param compile absent when it comes later, by `provideCompiler` */
  constructor(limits: SerfLimits, compile: CompileExpression | undefined) {
    this.#limits = limits;
    this.#overAll = new Budget(limits.filterWork);
    this.#perSource = new SourceBudgets(limits.filterWorkPerSource, {
      sourcesMax: SOURCES_MAX,
    });
    this.#compile = compile;
  }

  provideCompiler(compile: CompileExpression): void {
    this.#compile = compile;
  }

  /** What is tested from now on came with another packet. */
  beginPacket(): void {
    this.#seenInPacket = 0;
  }

  /** The test for the expressions of one query. */
  forQuery(source: QuerySource, nowMs: number): TestExpression {
    let sizeLeft = EXPRESSION_SIZE_MAX;
    return (expression, text) => {
      if (isPlainExpression(expression)) {
        sizeLeft -= expression.length;
        if (sizeLeft < 0) return "tooLarge";
        return text.includes(expression) ? "match" : "noMatch";
      }
      // No expression is smaller than its text, whose length is known at once.
      if (expression.length > sizeLeft) return "tooLarge";
      if (this.#compile === undefined) return "needsCompiler";
      if (source !== undefined && !this.#admitInPacket()) return "overBudget";
      const known = this.#recall(expression);
      const size = known?.size ?? this.#measure(expression, source, nowMs);
      if (size === undefined) return "overBudget";
      sizeLeft -= size;
      if (sizeLeft < 0) return "tooLarge";
      const work = matchWork(size, text.length) +
        (known === undefined ? size : 0);
      if (!this.#spend(work, source, nowMs)) return "overBudget";
      const matches = known?.matches ?? this.#compile(expression);
      if (known === undefined) this.#remember(expression, { matches, size });
      return matches(text) ? "match" : "noMatch";
    };
  }

  #admitInPacket(): boolean {
    this.#seenInPacket++;
    return this.#seenInPacket <= this.#limits.expressionsPerPacket;
  }

  /** The size of an expression, unless finding it out is beyond the budget. */
  #measure(
    expression: string,
    source: QuerySource,
    nowMs: number,
  ): number | undefined {
    const work = Math.floor(expression.length / MEASURED_PER_UNIT);
    return this.#spend(work, source, nowMs)
      ? expressionSize(expression)
      : undefined;
  }

  /** Spends work of both budgets, or of none. */
  #spend(work: number, source: QuerySource, nowMs: number): boolean {
    const isOwn = source === undefined;
    if (!isOwn && !this.#overAll.has(work, nowMs)) return false;
    const payer = isOwn ? OWN : sourceOfIp(ipOfEndpoint(source));
    if (!this.#perSource.take(payer, work, nowMs)) return false;
    if (!isOwn) this.#overAll.take(work, nowMs);
    return true;
  }

  #recall(expression: string): Compiled | undefined {
    const known = this.#compiled.get(expression);
    if (known === undefined) return undefined;
    this.#compiled.delete(expression);
    this.#compiled.set(expression, known);
    return known;
  }

  #remember(expression: string, compiled: Compiled): void {
    this.#compiled.set(expression, compiled);
    this.#compiledSize += compiled.size;
    for (const [oldest, { size }] of this.#compiled) {
      const isFull = this.#compiled.size > COMPILED_MAX ||
        this.#compiledSize > COMPILED_SIZE_MAX;
      if (!isFull) return;
      this.#compiled.delete(oldest);
      this.#compiledSize -= size;
    }
  }
}
