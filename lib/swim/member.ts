/**
 * One member as the SWIM layer holds it, and which claims about it count.
 *
 *              alive(i+1)                    alive(i+1)
 *           +-------------+        +--------------------------+
 *           v             |        v                          |
 *     -> alive --suspect--> suspect --timeout--> dead --alive(i+1)--> alive
 *           |                  |
 *           +---- dead, from the member itself: left ----> left
 *
 * Only the owner of a name raises its incarnation, and a claim counts only if
 * it is about the incarnation we know or a newer one. That is what makes every
 * order of arrival end in the same state. Source: SWIM (Das et al. 2002),
 * section 4.2; memberlist `state.go`.
 */

import { formatEndpoint, formatIp } from "../kit/address.ts";
import { equalBytes } from "../kit/bytes.ts";
import type { Deadline } from "../kit/deadlines.ts";
import type { NodeDescriptor, NodeStateName } from "../wire/messages.ts";
import type { Suspicion } from "./suspicion.ts";

/** A member as other layers see it. Read-only; it changes under your hands. */
export interface MemberView {
  readonly name: string;
  readonly node: NodeDescriptor;
  /** IP text of `node.addr`. */
  readonly ip: string;
  /** `ip:port`, where packets and streams to it go. */
  readonly address: string;
  readonly state: NodeStateName;
  readonly incarnation: number;
}

/** What a node says of itself, with bytes of its own and its address as text. */
export class Descriptor implements NodeDescriptor {
  readonly name: string;
  readonly addr: Uint8Array;
  readonly port: number;
  readonly meta: Uint8Array;
  readonly vsn: Uint8Array;
  readonly ip: string;
  readonly address: string;

  /** Copies the bytes, which may be views into a packet. */
  constructor(node: NodeDescriptor, port = node.port) {
    this.name = node.name;
    this.addr = node.addr.slice();
    this.port = port;
    this.meta = node.meta.slice();
    this.vsn = node.vsn.slice();
    this.ip = formatIp(this.addr);
    this.address = formatEndpoint(this.ip, this.port);
  }

  /** Whether the other says the same in every field. */
  isSame(other: NodeDescriptor, port = other.port): boolean {
    return this.port === port && this.name === other.name &&
      equalBytes(this.addr, other.addr) &&
      equalBytes(this.meta, other.meta) &&
      equalBytes(this.vsn, other.vsn);
  }
}

/**
 * Shares descriptors between engines of one process.
 *
 * A thousand simulated engines hold a million members but only a thousand
 * different descriptors. It keeps the newest per name, so it grows with the
 * number of names.
 */
export class DescriptorPool {
  readonly #byName = new Map<string, Descriptor>();

  intern(node: NodeDescriptor, port = node.port): Descriptor {
    const known = this.#byName.get(node.name);
    if (known !== undefined && known.isSame(node, port)) return known;
    const made = new Descriptor(node, port);
    this.#byName.set(node.name, made);
    return made;
  }
}

/** What the row of a running suspicion in the deadline table stands for. */
export interface SuspicionTimer {
  readonly kind: "suspicion";
  readonly member: Member;
}

/** A running suspicion and its row in the deadline table. */
export interface RunningSuspicion {
  readonly suspicion: Suspicion;
  row: Deadline<SuspicionTimer>;
  /** How often the member was asked to refute, and when it was last. */
  asks: number;
  lastAskMs: number;
}

/** One row of the member table. Change `state` through `Membership` only. */
export class Member implements MemberView {
  state: NodeStateName = "dead";
  incarnation = 0;
  stateChangedMs = Number.NEGATIVE_INFINITY;
  suspicion: RunningSuspicion | undefined = undefined;
  /** Place in the probe order; kept by `Membership`. */
  place = -1;

  constructor(public node: Descriptor) {}

  get name(): string {
    return this.node.name;
  }

  get ip(): string {
    return this.node.ip;
  }

  get address(): string {
    return this.node.address;
  }

  /** Newest protocol version that the member understands; 0 if it did not say. */
  get protocolMax(): number {
    return this.node.vsn[1] ?? 0;
  }

  /** Alive or suspect: a member in the eyes of the layer above. */
  get isLive(): boolean {
    return this.state === "alive" || this.state === "suspect";
  }
}

/** What to do with a claim about a member other than ourselves. */
export type Verdict = "apply" | "confirm" | "ignore";

/**
 * Which of two claims wins: the state we hold or the one we are told.
 *
 * | we hold        | alive  | suspect | dead   | at incarnation          |
 * |----------------|--------|---------|--------|-------------------------|
 * | anything       | ignore | ignore  | ignore | older than ours         |
 * | alive          | ignore | apply   | apply  | ours                    |
 * | suspect        | ignore | confirm | apply  | ours                    |
 * | dead, left     | ignore | ignore  | ignore | ours                    |
 * | alive          | apply  | apply   | apply  | newer                   |
 * | suspect        | apply  | apply   | apply  | newer                   |
 * | dead, left     | apply  | ignore  | ignore | newer                   |
 */
export function precedence(
  held: { readonly state: NodeStateName; readonly incarnation: number },
  claim: {
    readonly kind: "alive" | "suspect" | "dead";
    readonly incarnation: number;
  },
): Verdict {
  if (claim.incarnation < held.incarnation) return "ignore";
  if (claim.kind === "alive") {
    return claim.incarnation > held.incarnation ? "apply" : "ignore";
  }
  if (held.state === "dead" || held.state === "left") return "ignore";
  const isSameSuspicion = claim.kind === "suspect" &&
    held.state === "suspect" && claim.incarnation === held.incarnation;
  return isSameSuspicion ? "confirm" : "apply";
}
