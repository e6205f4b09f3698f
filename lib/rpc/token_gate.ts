/**
 * Keeps the token of an agent from being found by trying.
 *
 *     a token comes ──nobody waits, budget left──▶ compared ──wrong──▶ budget less
 *          │                                          ▲
 *          ├──else──▶ waits in line ──its turn, budget left
 *          └──line of its source is full──▶ refused without a look
 *
 * Only wrong tokens cost something. While a source has spent its budget, right
 * tokens must wait like wrong ones: an answer at once would tell which is which.
 * So a client that shares its address with an attacker is served late, by the
 * time of the tokens in front of it, and an honest crowd is never late.
 */

import { Budget, SourceBudgets } from "../kit/budget.ts";
import type { RpcLimits } from "./limits.ts";

/** Sources whose wrong tokens are remembered; beside them stands the budget of all. */
const SOURCES_MAX = 4_096;

type GateLimits = Pick<
  RpcLimits,
  "guesses" | "guessesPerSource" | "waitingTokensPerSourceMax"
>;

/** @typeParam T a client whose token waits */
export class TokenGate<T> {
  readonly #waitingPerSourceMax: number;
  readonly #perSource: SourceBudgets;
  readonly #overAll: Budget;
  /** In the order in which they came, with their sources. */
  readonly #waiting = new Map<T, string>();
  /** How many of them each source has. */
  readonly #counts = new Map<string, number>();

  constructor(limits: GateLimits) {
    this.#waitingPerSourceMax = limits.waitingTokensPerSourceMax;
    this.#perSource = new SourceBudgets(limits.guessesPerSource, {
      sourcesMax: SOURCES_MAX,
    });
    this.#overAll = new Budget(limits.guesses);
  }

  /** Whether tokens wait. */
  get hasWaiting(): boolean {
    return this.#waiting.size > 0;
  }

  /** Whether a token of this source may be compared at once. */
  isOpen(source: string, nowMs: number): boolean {
    return !this.hasWaiting && this.#mayGuess(source, nowMs);
  }

  /** A token of this source was wrong. */
  onWrong(source: string, nowMs: number): void {
    this.#perSource.take(source, 1, nowMs);
    this.#overAll.take(1, nowMs);
  }

  /** Puts a client in line. @returns false when the line of its source is full */
  wait(client: T, source: string): boolean {
    const count = this.#counts.get(source) ?? 0;
    if (count >= this.#waitingPerSourceMax) return false;
    this.#waiting.set(client, source);
    this.#counts.set(source, count + 1);
    return true;
  }

  /**
   * Takes the first client out of the line whose token may be compared now. What
   * comes of it must be known before the next call.
   */
  next(nowMs: number): T | undefined {
    if (!this.#overAll.has(1, nowMs)) return undefined;
    const spent = new Set<string>();
    for (const [client, source] of this.#waiting) {
      if (spent.has(source)) continue;
      if (this.#mayGuess(source, nowMs)) {
        this.forget(client);
        return client;
      }
      spent.add(source);
    }
    return undefined;
  }

  /** A client has gone. Harmless when it is not in line. */
  forget(client: T): void {
    const source = this.#waiting.get(client);
    if (source === undefined) return;
    this.#waiting.delete(client);
    const left = (this.#counts.get(source) ?? 1) - 1;
    if (left === 0) this.#counts.delete(source);
    else this.#counts.set(source, left);
  }

  #mayGuess(source: string, nowMs: number): boolean {
    return this.#overAll.has(1, nowMs) && this.#perSource.has(source, 1, nowMs);
  }
}
