/**
 * Limits on what clients of the control port can cost, above all those that have
 * not shown the token yet. Everybody who reaches the port can be one of these.
 *
 * `NO_RPC_LIMITS` switches all of them off, so that a test can show what each one
 * prevents. What a single request may weigh is in `protocol.ts`.
 */

import type { BudgetRate } from "../kit/budget.ts";

export interface RpcLimits {
  /** Clients served at once. */
  readonly clientsMax: number;
  /**
   * Strangers among them: clients that may not give commands yet. A stranger is
   * one for some milliseconds, so hundreds at once are a crowd that starts
   * together, or an attack. Lower, and such a crowd is cut; higher, and silent
   * connections take more memory, some 20 KiB each.
   */
  readonly strangersMax: number;
  /**
   * Strangers of one source. 500 programs of one machine that connect at the same
   * moment are served; one address does not fill the places of all.
   */
  readonly strangersPerSourceMax: number;
  /**
   * How long a client may be a stranger, ms. Programs introduce themselves at once;
   * this is for machines that are overloaded or stopped for a moment.
   */
  readonly introductionMs: number;
  /** Requests of a stranger before it is closed. A client needs two of them. */
  readonly strangerRequestsMax: number;
  /** Wrong tokens on one connection; the last of them closes it. */
  readonly wrongTokensMax: number;
  /**
   * Wrong tokens from one source. When they are spent, further tokens of the
   * source wait, right ones too: an answer that comes at once would tell them
   * apart. At 20 a second, 31 bits take a year and a half on average.
   */
  readonly guessesPerSource: BudgetRate;
  /** Wrong tokens from everywhere, for an attack from many addresses. */
  readonly guesses: BudgetRate;
  /**
   * Tokens of one source that may wait; further ones are refused without a look.
   * With 64 the longest wait is about three seconds.
   */
  readonly waitingTokensPerSourceMax: number;
  /**
   * Lines of the log that say a client was accepted. All places may be taken at
   * once, and scripts call the command line often; beyond it lines are counted.
   */
  readonly acceptedLines: BudgetRate;
  /** Lines of the log about what strangers do wrong. */
  readonly complaintLines: BudgetRate;
}

export const RPC_LIMITS: RpcLimits = {
  clientsMax: 1_024,
  strangersMax: 768,
  strangersPerSourceMax: 512,
  introductionMs: 30_000,
  strangerRequestsMax: 32,
  wrongTokensMax: 3,
  guessesPerSource: { perSecond: 20, burst: 20 },
  guesses: { perSecond: 100, burst: 100 },
  waitingTokensPerSourceMax: 64,
  acceptedLines: { perSecond: 10, burst: 1_024 },
  complaintLines: { perSecond: 10, burst: 100 },
};

const NO_LIMIT: BudgetRate = { perSecond: Infinity, burst: Infinity };

/** Nothing is limited but the number of clients, which is the system's limit. */
export const NO_RPC_LIMITS: RpcLimits = {
  clientsMax: Infinity,
  strangersMax: Infinity,
  strangersPerSourceMax: Infinity,
  introductionMs: Infinity,
  strangerRequestsMax: Infinity,
  wrongTokensMax: Infinity,
  guessesPerSource: NO_LIMIT,
  guesses: NO_LIMIT,
  waitingTokensPerSourceMax: Infinity,
  acceptedLines: NO_LIMIT,
  complaintLines: NO_LIMIT,
};
