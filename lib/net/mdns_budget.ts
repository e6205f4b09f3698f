/**
 * How many questions of discovery an agent answers.
 *
 * An answer is about five times as long as its question and goes to where the
 * question came from, which can be forged by anybody on the network. Who is not
 * answered asks again a minute later.
 *
 * Source: our own; hashicorp/mdns answers everything.
 */

import { Budget, SourceBudgets } from "../kit/budget.ts";

/**
 * Of one host: each agent asks once a minute, by IPv4 and by IPv6, and many may run on
 * one machine and be started at once.
 */
const HOST_RATE = { perSecond: 4, burst: 64 };
/** Of all hosts: about a thousand agents may be started at once. */
const RATE = { perSecond: 128, burst: 1_024 };
/** Hosts whose budgets are remembered. */
const HOSTS_MAX = 256;

export class MdnsBudget {
  readonly #hosts = new SourceBudgets(HOST_RATE, { sourcesMax: HOSTS_MAX });
  readonly #all = new Budget(RATE);

  /** @returns whether a question from this host is answered */
  take(host: string, nowMs: number): boolean {
    return this.#hosts.take(host, 1, nowMs) && this.#all.take(1, nowMs);
  }
}
