/**
 * Lines of the log that every stranger can cause at the control port.
 *
 * Each kind has a budget. Lines beyond it are counted, and the number is logged
 * once in a while, so that an attack shows in the log and does not fill the disk.
 */

import { Budget } from "../kit/budget.ts";
import type { LogLevel } from "../kit/log.ts";
import type { Counter } from "../kit/metrics.ts";
import type { RpcLimits } from "../rpc/limits.ts";
import { monotonicMs } from "./clock.ts";

/** How often the log tells how much was left out, ms. */
const SUMMARY_INTERVAL_MS = 10_000;
const SUMMARY_INTERVAL = `${SUMMARY_INTERVAL_MS / 1_000} s`;

type Log = (level: LogLevel, text: string) => void;

export class ClientLines {
  readonly #log: Log;
  readonly #unlogged: Counter;
  readonly #accepted: Budget;
  readonly #complaints: Budget;
  /** Left out since the last summary. */
  #acceptedUnlogged = 0;
  #complaintsUnlogged = 0;
  #timer: ReturnType<typeof setTimeout> | undefined;

  /** @param options `unlogged` counts the lines that are left out */
  constructor(
    options: {
      readonly log: Log;
      readonly unlogged: Counter;
      readonly limits: Pick<RpcLimits, "acceptedLines" | "complaintLines">;
    },
  ) {
    this.#log = options.log;
    this.#unlogged = options.unlogged;
    this.#accepted = new Budget(options.limits.acceptedLines);
    this.#complaints = new Budget(options.limits.complaintLines);
  }

  /** A client was let in. */
  accepted(peer: string): void {
    if (this.#accepted.take(1, monotonicMs())) {
      return this.#log("INFO", `agent.ipc: Accepted client: ${peer}`);
    }
    this.#acceptedUnlogged++;
    this.#leaveOut();
  }

  /** A client did something wrong. */
  complain(level: LogLevel, text: string): void {
    if (this.#complaints.take(1, monotonicMs())) return this.#log(level, text);
    this.#complaintsUnlogged++;
    this.#leaveOut();
  }

  /** Ends it, with a last summary. */
  close(): void {
    clearTimeout(this.#timer);
    this.#summarize();
  }

  #leaveOut(): void {
    this.#unlogged.add();
    this.#timer ??= setTimeout(() => this.#summarize(), SUMMARY_INTERVAL_MS);
  }

  #summarize(): void {
    this.#timer = undefined;
    const accepted = this.#acceptedUnlogged;
    const complaints = this.#complaintsUnlogged;
    this.#acceptedUnlogged = 0;
    this.#complaintsUnlogged = 0;
    if (accepted > 0) {
      this.#log(
        "INFO",
        `agent.ipc: Accepted ${accepted} more clients in the last ${SUMMARY_INTERVAL}`,
      );
    }
    if (complaints > 0) {
      this.#log(
        "WARN",
        `agent.ipc: ${complaints} more messages about clients were left out in the last ${SUMMARY_INTERVAL}`,
      );
    }
  }
}
