/** Adds up what an attack has caused, and keeps what was too much. */

import { allowed, type Incoming, type Quantity } from "./bounds.ts";

/** More than the table allows. */
export interface Excess {
  readonly quantity: Quantity;
  readonly amount: number;
  readonly allowed: number;
  /** Where it went or what went wrong, when that can be said. */
  readonly detail?: string;
}

export class Tally {
  readonly #amounts = new Map<
    string,
    { readonly quantity: Quantity; readonly detail?: string; amount: number }
  >();
  readonly #excesses = new Map<Quantity, Excess>();

  /** @param detail amounts with different ones are not added up */
  add(quantity: Quantity, amount: number, detail?: string): void {
    const key = `${quantity} ${detail ?? ""}`;
    const held = this.#amounts.get(key);
    if (held !== undefined) held.amount += amount;
    else {
      const of = detail === undefined ? {} : { detail };
      this.#amounts.set(key, { quantity, amount, ...of });
    }
  }

  of(quantity: Quantity): number {
    return this.#amounts.get(`${quantity} `)?.amount ?? 0;
  }

  /** Compares all that was caused so far with all that came in so far. */
  compare(incoming: Incoming): void {
    for (const { quantity, detail, amount } of this.#amounts.values()) {
      const most = allowed(quantity, incoming);
      if (amount <= most) continue;
      const known = this.#excesses.get(quantity);
      if (
        known !== undefined && amount - most <= known.amount - known.allowed
      ) {
        continue;
      }
      this.#excesses.set(quantity, {
        quantity,
        amount: Math.round(amount),
        allowed: Math.round(most),
        ...(detail === undefined ? {} : { detail }),
      });
    }
  }

  get excesses(): Excess[] {
    return [...this.#excesses.values()];
  }
}
