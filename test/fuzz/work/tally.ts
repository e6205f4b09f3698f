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

/** What came of an attack. */
export interface Measured {
  readonly excesses: readonly Excess[];
  /** Of what is allowed, the highest share that was reached; above 1 is too much. */
  readonly shares: ReadonlyMap<Quantity, number>;
}

export class Tally {
  readonly #amounts = new Map<
    string,
    { readonly quantity: Quantity; readonly detail?: string; amount: number }
  >();
  readonly #excesses = new Map<Quantity, Excess>();
  readonly #shares = new Map<Quantity, number>();

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
      const share = amount / Math.max(most, 1);
      this.#shares.set(
        quantity,
        Math.max(share, this.#shares.get(quantity) ?? 0),
      );
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

  get measured(): Measured {
    return {
      excesses: [...this.#excesses.values()],
      shares: this.#shares,
    };
  }
}
