/**
 * What peers make us send: to whom, how much of it, and how often.
 *
 * Most packets that ask for an answer name the address that it should go to, and
 * the source of a packet can be forged. So an address is believed if the member
 * named with it has announced it; otherwise the answer goes back to where the
 * packet came from. And whatever is sent is paid for out of budgets (`limits.ts`).
 *
 * An ack is never refused for want of budget, since a node that does not answer is
 * called failed: a flood of forged pings would have that effect. It is cut down
 * instead, so that it is no longer than the ping:
 *
 *     to the member that sent the ping     ack, our coordinate, gossip
 *     to a member in whose name it came    ack, our coordinate
 *     to a stranger                        ack, our coordinate
 *     beyond the budget of any of them     ack
 *
 * A stranger never gets gossip. Each copy that is sent counts as one told member,
 * so a stranger could use up what the members have yet to hear.
 */

import { formatEndpoint, formatIp } from "../kit/address.ts";
import { Budget, SourceBudgets } from "../kit/budget.ts";
import type { LogLevel } from "../kit/log.ts";
import type { Message, Ping } from "../wire/messages.ts";
import type { SwimConfig } from "./config.ts";
import { type ReplyRates, SWIM_LIMITS, type SwimLimits } from "./limits.ts";
import type { Membership } from "./membership.ts";
import type { SwimMetrics } from "./metrics.ts";

/**
 * Destinations whose budgets are remembered, of each kind. A node that spends on
 * more at the same time is held by the budgets over all.
 */
const DESTINATIONS_MAX = 32;

/** What a packet asks for that is answered a few times only. */
type PacketRequest = "ping" | "indirectPing" | "staleClaim";

/** What the layer above sends because a peer asked for it. */
export type HostReply =
  | "queryReplies"
  | "internalReplies"
  | "queryCopies"
  | "forwards";

/** What a reply may carry beside itself; each includes the next. */
type Cargo = "gossip" | "coordinate" | "nothing";

/** Where a reply goes, and what it may carry. */
export interface ReplyAddress {
  readonly address: string;
  readonly carries: Cargo;
}

/** A node as a message names it. */
export interface NamedAddress {
  /** Empty when the message does not say. */
  readonly name: string;
  readonly address: string;
}

/** What answering needs of the node that answers; `SwimCore` has it. */
export interface ReplyingNode {
  readonly config: Pick<SwimConfig, "limits">;
  readonly members: Pick<Membership, "get" | "all">;
  readonly metrics: Pick<SwimMetrics, "repliesRefused" | "repliesShortened">;
  /** Counts refused input and logs it, within limits. */
  refuse(level: LogLevel, text: string, nowMs: number): void;
  /** Sends one message with as many waiting broadcasts as fit. */
  sendWithBroadcasts(to: string, message: Message): void;
  /** Sends one message and nothing else. */
  sendAlone(to: string, message: Message): void;
}

/** Two budgets of which both must allow it. */
class RateBudget {
  readonly #perDestination: SourceBudgets;
  readonly #overAll: Budget;

  constructor({ perDestination, overAll }: ReplyRates) {
    this.#perDestination = new SourceBudgets(perDestination, {
      sourcesMax: DESTINATIONS_MAX,
    });
    this.#overAll = new Budget(overAll);
  }

  /** What one destination is refused does not count against all. */
  take(destination: string, nowMs: number): boolean {
    return this.#perDestination.take(destination, 1, nowMs) &&
      this.#overAll.take(1, nowMs);
  }
}

export class Replies {
  readonly #node: ReplyingNode;
  readonly #limits: SwimLimits;
  readonly #full: RateBudget;
  readonly #relayedPings: RateBudget;
  readonly #strangerPings: Budget;
  readonly #staleClaims: RateBudget;
  readonly #toMembers: Readonly<Record<HostReply, RateBudget>>;
  readonly #toStrangers: Readonly<Record<HostReply, RateBudget>>;
  /** What the packet at hand has asked for so far. */
  readonly #asked: Record<PacketRequest, number> = {
    ping: 0,
    indirectPing: 0,
    staleClaim: 0,
  };

  constructor(node: ReplyingNode) {
    const limits = node.config.limits ?? SWIM_LIMITS;
    this.#node = node;
    this.#limits = limits;
    this.#full = new RateBudget(limits.fullReplies);
    this.#relayedPings = new RateBudget(limits.relayedPings);
    this.#strangerPings = new Budget(limits.strangerPings);
    this.#staleClaims = new RateBudget(limits.staleClaims);
    this.#toMembers = {
      queryReplies: new RateBudget(limits.queryReplies),
      internalReplies: new RateBudget(limits.internalReplies),
      queryCopies: new RateBudget(limits.queryCopies),
      forwards: new RateBudget(limits.forwards),
    };
    this.#toStrangers = {
      queryReplies: new RateBudget(limits.strangerReplies),
      internalReplies: new RateBudget(limits.strangerInternalReplies),
      queryCopies: new RateBudget(limits.strangerReplies),
      forwards: new RateBudget(limits.strangerReplies),
    };
  }

  // --- Whether --------------------------------------------------------------

  /** A new packet may ask anew. */
  beginPacket(): void {
    const asked = this.#asked;
    asked.ping = asked.indirectPing = asked.staleClaim = 0;
  }

  /** Counts a ping of the packet. @returns whether it is answered */
  admitPing(from: string, nowMs: number): boolean {
    if (this.#admit("ping")) return true;
    this.#refuse(`Too many pings in one packet from=${from}`, nowMs);
    return false;
  }

  /**
   * Counts a ping for somebody else.
   *
   * @param from where the packet came from
   * @param target who is to be pinged
   * @returns whether it is done
   */
  admitRelayedPing(from: string, target: NamedAddress, nowMs: number): boolean {
    if (
      this.#admit("indirectPing") && this.#relayedPings.take(from, nowMs) &&
      (this.#isMember(target) || this.#strangerPings.take(1, nowMs))
    ) return true;
    this.#refuse(
      `Too many indirect pings, dropping one to ${target.address} from=${from}`,
      nowMs,
    );
    return false;
  }

  /** Counts a stale accusation of ourselves. @returns whether it is answered */
  admitStaleClaim(from: string, nowMs: number): boolean {
    // The search comes last, so that the budget bounds it too.
    const isAllowed = this.#admit("staleClaim") &&
      this.#staleClaims.take(from, nowMs) &&
      (!this.#limits.believesMembersOnly || this.#isMemberAddress(from));
    // No fault of the sender, who only repeats what it has heard.
    if (!isAllowed) this.#node.metrics.repliesRefused.add();
    return isAllowed;
  }

  /**
   * Whether the layer above may send a message that a peer has asked for.
   *
   * @param to who gets it in the end, as the peer names it
   */
  admitHostReply(kind: HostReply, to: NamedAddress, nowMs: number): boolean {
    const budgets = this.#isMember(to) ? this.#toMembers : this.#toStrangers;
    if (budgets[kind].take(to.address, nowMs)) return true;
    this.#node.metrics.repliesRefused.add();
    return false;
  }

  #admit(request: PacketRequest): boolean {
    return ++this.#asked[request] <= this.#limits.repliesPerPacket;
  }

  #refuse(text: string, nowMs: number): void {
    this.#node.metrics.repliesRefused.add();
    this.#node.refuse("WARN", text, nowMs);
  }

  #isMember({ name, address }: NamedAddress): boolean {
    return !this.#limits.believesMembersOnly ||
      this.#node.members.get(name)?.address === address;
  }

  #isMemberAddress(sought: string): boolean {
    return this.#node.members.all().some(({ address }) => address === sought);
  }

  // --- Where to, and how much -----------------------------------------------

  /**
   * Where an answer to a ping goes.
   *
   * @param source what the ping says of its sender
   * @param from where the packet came from
   */
  replyAddress(
    source: Pick<Ping, "sourceAddr" | "sourcePort" | "sourceNode">,
    from: string,
    nowMs: number,
  ): ReplyAddress {
    const { sourceNode: name, sourceAddr, sourcePort } = source;
    const isStated = sourcePort !== 0 &&
      (sourceAddr.length === 4 || sourceAddr.length === 16);
    const address = isStated
      ? formatEndpoint(formatIp(sourceAddr), sourcePort)
      : from;
    const to = { name, address };
    if (address === from) return this.reach(to, nowMs);
    // Members with several addresses send from one and announce another.
    const reached = this.#isMember(to) ? this.reach(to, nowMs) : undefined;
    if (reached === undefined || reached.carries === "nothing") {
      return { address: from, carries: "nothing" };
    }
    return this.#limits.believesMembersOnly
      ? { address, carries: "coordinate" }
      : reached;
  }

  /** What a packet to somebody may carry; spends of the budget for that. */
  reach(to: NamedAddress, nowMs: number): ReplyAddress {
    const { address } = to;
    if (this.#full.take(address, nowMs)) {
      const carries = this.#isMember(to) ? "gossip" : "coordinate";
      return { address, carries };
    }
    this.#node.metrics.repliesShortened.add();
    return { address, carries: "nothing" };
  }

  /** Sends a message, and with it the gossip that it may carry. */
  send({ address, carries }: ReplyAddress, message: Message): void {
    if (carries === "gossip") this.#node.sendWithBroadcasts(address, message);
    else this.#node.sendAlone(address, message);
  }
}
