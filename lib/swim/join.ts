/**
 * The bookkeeping of one join: which addresses are tried when, and how it ends.
 *
 * Dials run side by side, so that a dead address costs no time. The first
 * exchange goes ahead of the others, which then carry what it brought: that is
 * how one join links clusters that do not know each other. It goes ahead for a
 * short time only, so that a silent peer does not hold up the rest.
 *
 * The streams themselves are in `streams.ts`. Source: memberlist `memberlist.go`
 * (Join), which tries one address after the other.
 */

import type { OperationId, StreamId } from "./output.ts";

/** Addresses of one join that are tried at one time. */
const TRIED_AT_ONCE = 16;
/** How long the other exchanges wait for the first one, ms. */
export const LEAD_MS = 1_000;

/** One address to join. */
export interface JoinTarget {
  /** `ip:port`; names were resolved before. */
  readonly address: string;
  /** The name that the member is expected to have, for logs only. */
  readonly name?: string;
}

export class Join {
  readonly #errors: (string | undefined)[];
  #nextIndex = 0;
  #running = 0;
  #contacted = 0;
  #lead: StreamId | undefined;
  #isOpen = false;
  #waiting: StreamId[] = [];

  constructor(
    readonly operation: OperationId,
    readonly targets: readonly JoinTarget[],
  ) {
    this.#errors = new Array<string | undefined>(targets.length);
  }

  /** Place of the next address to dial; `undefined` when there is none for now. */
  nextToDial(): number | undefined {
    const isLimited = this.#running >= TRIED_AT_ONCE ||
      this.#nextIndex >= this.targets.length;
    if (isLimited) return undefined;
    this.#running++;
    return this.#nextIndex++;
  }

  /** Whether a connection that stands now may exchange at once; if not, it waits. */
  mayExchange(id: StreamId): boolean {
    if (this.#isOpen) return true;
    if (this.#lead === undefined) {
      this.#lead = id;
      return true;
    }
    this.#waiting.push(id);
    return false;
  }

  /** Stops waiting for the first exchange. @returns the connections that waited */
  open(): StreamId[] {
    this.#isOpen = true;
    return this.#waiting.splice(0);
  }

  /**
   * An address is done with.
   *
   * @param why what went wrong, `undefined` on success
   * @returns the connections that waited for this one
   */
  ended(id: StreamId, index: number, why: string | undefined): StreamId[] {
    this.#running--;
    if (why === undefined) this.#contacted++;
    else this.#errors[index] = errorText(this.targets[index], why);
    return id === this.#lead ? this.open() : [];
  }

  get isFinished(): boolean {
    return this.#running === 0 && this.#nextIndex >= this.targets.length;
  }

  /** How many addresses were contacted, and a text for each that was not. */
  get outcome(): { contacted: number; errors: string[] } {
    const errors = this.#errors.filter((error) => error !== undefined);
    return { contacted: this.#contacted, errors };
  }
}

/**
 * Why an address could not be joined. The wording, with the IP alone and a
 * capital letter, is that of Serf 0.9.4, because the command line prints it.
 */
function errorText(target: JoinTarget | undefined, why: string): string {
  const address = target?.address ?? "";
  const host = address.replace(/:\d+$/, "").replace(/^\[(.*)\]$/, "$1");
  const capitalized = why.startsWith("no installed") ? `N${why.slice(1)}` : why;
  return `Failed to join ${host}: ${capitalized}`;
}
