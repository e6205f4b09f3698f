/**
 * Log lines about the network, of which there may be very many in a short time.
 *
 * Of each kind one line a second is let through; it tells how many like it were
 * held back before.
 */

import { monotonicMs } from "./clock.ts";

/** At most one line of a kind in this time, ms. */
const INTERVAL_MS = 1_000;

export type TroubleKind =
  | "receive"
  | "send"
  | "accept"
  | "abort"
  | "refuse"
  | "respond";

interface Trouble {
  quietUntilMs: number;
  held: number;
}

export class TroubleLog {
  readonly #write: (text: string, kind: TroubleKind) => void;
  readonly #now: () => number;
  readonly #troubles = new Map<TroubleKind, Trouble>();

  /** @param now monotonic time, ms */
  constructor(
    write: (text: string, kind: TroubleKind) => void,
    now: () => number = monotonicMs,
  ) {
    this.#write = write;
    this.#now = now;
  }

  log(kind: TroubleKind, text: string): void {
    const nowMs = this.#now();
    const { quietUntilMs, held } = this.#troubles.get(kind) ??
      { quietUntilMs: -Infinity, held: 0 };
    if (nowMs < quietUntilMs) {
      this.#troubles.set(kind, { quietUntilMs, held: held + 1 });
      return;
    }
    this.#troubles.set(kind, { quietUntilMs: nowMs + INTERVAL_MS, held: 0 });
    this.#write(
      held > 0 ? `${text} (and ${held} like it before)` : text,
      kind,
    );
  }
}
