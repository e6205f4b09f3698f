/**
 * Budgets: how much of something may be spent, over all or for one source.
 *
 * A budget is a token bucket. It holds at most `burst` tokens, starts full, and
 * gains `perSecond` tokens a second. Spending more than it holds is refused and
 * costs nothing, so one request that is too large does not lock out smaller ones.
 *
 * What a token stands for is up to the owner: a reply, a byte, a unit of work.
 * Time comes in from outside and never goes back, as everywhere in the engine.
 */

/** How fast a budget fills, and how much it holds. */
export interface BudgetRate {
  /** Tokens gained each second; 0 or more, `Infinity` for no limit. */
  readonly perSecond: number;
  /** Most tokens held, and so the most that can be spent at once. */
  readonly burst: number;
}

/** One token bucket. */
export class Budget {
  readonly #rate: BudgetRate;
  #tokens: number;
  /** Absent until the first look. */
  #filledMs: number | undefined;

  constructor(rate: BudgetRate) {
    this.#rate = rate;
    this.#tokens = rate.burst;
  }

  /** Whether `amount` could be spent now. */
  has(amount: number, nowMs: number): boolean {
    this.#fill(nowMs);
    return amount <= this.#tokens;
  }

  /** Spends `amount`, or nothing. @returns whether it was spent */
  take(amount: number, nowMs: number): boolean {
    if (!this.has(amount, nowMs)) return false;
    this.#tokens -= amount;
    return true;
  }

  #fill(nowMs: number): void {
    const { perSecond, burst } = this.#rate;
    const seconds = (nowMs - (this.#filledMs ?? nowMs)) / 1_000;
    this.#filledMs = nowMs;
    // Without a limit, no time at all would give no number.
    if (seconds > 0) {
      this.#tokens = Math.min(burst, this.#tokens + perSecond * seconds);
    }
  }
}

/**
 * A budget for each source, of the most recent `sourcesMax` sources.
 *
 * The source that spent longest ago is forgotten first, and starts anew when it
 * comes back. Where sources can be forged or changed at will, a budget over all
 * of them must stand beside this one.
 */
export class SourceBudgets {
  readonly #rate: BudgetRate;
  readonly #sourcesMax: number;
  /** In the order of their last use. */
  readonly #budgets = new Map<string, Budget>();

  constructor(rate: BudgetRate, options: { readonly sourcesMax: number }) {
    this.#rate = rate;
    this.#sourcesMax = options.sourcesMax;
  }

  /** Sources that are remembered. */
  get size(): number {
    return this.#budgets.size;
  }

  /** Whether `source` could spend `amount` now. Counts as no use of its budget. */
  has(source: string, amount: number, nowMs: number): boolean {
    return this.#budgets.get(source)?.has(amount, nowMs) ??
      amount <= this.#rate.burst;
  }

  /** Spends `amount` of the budget of `source`, or nothing. @returns whether it was spent */
  take(source: string, amount: number, nowMs: number): boolean {
    const budget = this.#budgets.get(source) ?? new Budget(this.#rate);
    this.#budgets.delete(source);
    this.#budgets.set(source, budget);
    if (this.#budgets.size > this.#sourcesMax) {
      const [oldest] = this.#budgets.keys();
      this.#budgets.delete(oldest as string);
    }
    return budget.take(amount, nowMs);
  }
}
