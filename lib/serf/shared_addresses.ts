/**
 * Members that advertise one address, which is a mistake of their settings: behind
 * it is one process, or none that the others can reach, and the members are called
 * failed and alive in turn. Behind a NAT, or in containers, it is the most frequent
 * mistake, and nothing else in the log points to it.
 *
 * Fed with events, it says so at the first sight of each such address. A node that
 * was started again under a new name looks the same until its former name fails,
 * which the text mentions.
 */

import { formatEndpoint } from "../kit/address.ts";
import { quoteText } from "../kit/quote.ts";
import type { SerfEvent } from "./event.ts";
import type { Member } from "./member.ts";

/**
 * Addresses that are told of, in the life of an agent. They are the operator's
 * mistakes, or, without encryption, anybody's: who reads as many lines knows.
 */
const TOLD_MAX = 32;

export class SharedAddresses {
  /** Where live members are, by name; as many as there are members. */
  readonly #addresses = new Map<string, string>();
  /** The live member that was seen first at each address. */
  readonly #names = new Map<string, string>();
  readonly #told = new Set<string>();

  /** @returns lines for the log: none, unless members share an address */
  see(event: SerfEvent): string[] {
    switch (event.type) {
      case "member-join":
      case "member-update":
        return event.members.flatMap((member) => this.#isAlive(member));
      case "member-leave":
      case "member-failed":
      case "member-reap":
        for (const { name } of event.members) this.#isGone(name);
        return [];
      case "user":
      case "query":
        return [];
    }
  }

  #isAlive({ name, ip, port }: Member): string[] {
    const address = formatEndpoint(ip, port);
    if (this.#addresses.get(name) !== address) this.#isGone(name);
    this.#addresses.set(name, address);
    const first = this.#names.get(address);
    if (first === undefined) this.#names.set(address, name);
    if (first === undefined || first === name || this.#told.has(address)) {
      return [];
    }
    if (this.#told.size >= TOLD_MAX) return [];
    this.#told.add(address);
    return [
      `Members ${quoteText(first)} and ${quoteText(name)} both advertise ` +
      `${address}, so at most one of them can be reached; check their ` +
      "-advertise and -bind (if one was renamed, this passes)",
    ];
  }

  #isGone(name: string): void {
    const address = this.#addresses.get(name);
    if (address === undefined) return;
    this.#addresses.delete(name);
    if (this.#names.get(address) === name) this.#names.delete(address);
  }
}
