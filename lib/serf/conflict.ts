/**
 * Two nodes that claim one name: who has to go.
 *
 * Each of the two asks the cluster whose name it is. Every member but those of
 * that name says whom it holds it for:
 *
 *     vote --time is over--> most members that answered name us --> we stay
 *                       |--> at least half of all have answered --> we shut down
 *                       +--> fewer, or none at all ---------------> no verdict
 *
 * Without a verdict we go on as before. One packet starts a vote, and anybody can
 * send it; a node that is alone would be ended by it, and a node whose packets are
 * lost would be too. (Upstream shuts down whenever there is no majority for it, so
 * also when nobody has answered.) The vote takes its whole time, for a hasty count
 * could end the wrong node. Only members count, each once. Without encryption
 * anybody can become a member, and can answer in the name of one.
 *
 * One vote at a time, and none for `VOTE_PAUSE_MS` after it, since the whole
 * cluster answers: further conflicts meanwhile are logged. Upstream holds a vote
 * for each.
 *
 * Source: serf `serf.go` (handleNodeConflict, resolveNodeConflict) and
 * `internal_query.go` (handleConflict).
 */

import { isSameIp } from "../kit/address.ts";
import { utf8Bytes, utf8Text } from "../kit/bytes.ts";
import type { MemberView } from "../swim/member.ts";
import type { NodeDescriptor } from "../wire/messages.ts";
import {
  decodeConflictResponse,
  encodeConflictResponse,
  type MemberRecord,
} from "../wire/serf_messages.ts";
import { WireError } from "../wire/wire_error.ts";
import type { Answers } from "./answer.ts";
import { type SerfCore, StateError } from "./core.ts";
import type { QueryEvent, QueryReply } from "./event.ts";
import { CONFLICT_QUERY } from "./internal_query.ts";
import { type Member, nodeAddress, STATUS_NUMBERS } from "./member.ts";
import type { Roster } from "./roster.ts";
import type { QueryManner, QueryParams, QuerySink } from "./running_query.ts";

/**
 * Time between two votes. A duplicate that stays shows itself at least with the
 * next push/pull, which takes as long.
 */
const VOTE_PAUSE_MS = 30_000;

export interface ConflictParts {
  readonly core: SerfCore;
  readonly roster: Roster;
  readonly answers: Answers;
  ask(
    params: QueryParams,
    sink: QuerySink,
    manner: QueryManner,
    nowMs: number,
  ): void;
  /** Called when the vote went against us. */
  onLost(nowMs: number): void;
}

export class NameConflicts {
  readonly #parts: ConflictParts;
  #isVoting = false;
  #nextVoteMs = Number.NEGATIVE_INFINITY;

  constructor(parts: ConflictParts) {
    this.#parts = parts;
  }

  /**
   * @param existing the member that holds the name in our eyes
   * @param other who claims it from another address
   */
  found(existing: MemberView, other: NodeDescriptor, nowMs: number): void {
    const { core } = this.#parts;
    const { name } = existing;
    const address = nodeAddress(other);
    // Every packet of such a node brings a conflict: not each is to be a line.
    if (name !== core.name) {
      core.logLimited(
        "WARN",
        `Name conflict for '${name}' both ${existing.address} and ${address} are claiming`,
        nowMs,
      );
      return;
    }
    const isResolved = core.config.enableNameConflictResolution;
    core.logLimited(
      "ERR",
      `Node name conflicts with another node at ${address}. Names must be unique! (Resolution enabled: ${isResolved})`,
      nowMs,
    );
    if (!isResolved || this.#isVoting || nowMs < this.#nextVoteMs) return;
    this.#startVote(nowMs);
  }

  /** Another node asks whom we hold its name for. */
  answer(query: QueryEvent, nowMs: number): void {
    const { core, roster, answers } = this.#parts;
    const name = utf8Text(query.payload);
    // Our word in our own cause would not count.
    if (name === core.name) return;
    core.log("DEBUG", `Got conflict resolution query for '${name}'`);
    const member = roster.member(name);
    const record = encodeConflictResponse(member && recordOf(member));
    try {
      answers.respond(query, record, nowMs);
    } catch (error) {
      if (!(error instanceof RangeError || error instanceof StateError)) {
        throw error;
      }
      core.refuse(
        "ERR",
        `Failed to respond to conflict query: ${error.message}`,
        nowMs,
      );
    }
  }

  #startVote(nowMs: number): void {
    const { core, roster } = this.#parts;
    const vote = new Vote(core);
    const sink: QuerySink = {
      reply: (reply, replyMs) => vote.count(reply, replyMs),
      done: (endMs, error) => {
        this.#isVoting = false;
        this.#nextVoteMs = endMs + VOTE_PAUSE_MS;
        // Whoever is on the way out goes in peace.
        if (error !== undefined || core.state !== "alive") return;
        if (vote.end(roster) === "lost") this.#parts.onLost(endMs);
      },
    };
    const params = { name: CONFLICT_QUERY, payload: utf8Bytes(core.name) };
    try {
      this.#parts.ask(params, sink, { mayEndEarly: false }, nowMs);
      this.#isVoting = true;
    } catch (error) {
      if (!(error instanceof RangeError || error instanceof StateError)) {
        throw error;
      }
      core.logLimited(
        "ERR",
        `Failed to start name resolution query: ${error.message}`,
        nowMs,
      );
    }
  }
}

/** The votes about our name. */
class Vote {
  readonly #core: SerfCore;
  /** By the name of who answered: whether it names us. */
  readonly #answers = new Map<string, boolean>();

  constructor(core: SerfCore) {
    this.#core = core;
  }

  count(reply: QueryReply, nowMs: number): void {
    if (reply.kind !== "response") return;
    let holder: MemberRecord | undefined;
    try {
      holder = decodeConflictResponse(reply.payload);
    } catch (error) {
      if (!(error instanceof WireError)) throw error;
      this.#core.refuse("ERR", error.detail, nowMs);
      return;
    }
    const isForUs = holder !== undefined && this.#isOurs(holder);
    this.#answers.set(reply.from, isForUs);
  }

  /** Counts the votes of those who are members now, and says how it ended. */
  end(roster: Roster): "won" | "lost" | "noVerdict" {
    let [voters, responses, matching] = [0, 0, 0];
    for (const name of roster.upNames()) {
      if (name === this.#core.name) continue;
      voters++;
      const isForUs = this.#answers.get(name);
      if (isForUs === undefined) continue;
      responses++;
      if (isForUs) matching++;
    }
    const majority = Math.floor(responses / 2) + 1;
    const score = `[${matching} / ${responses}]`;
    if (matching >= majority) {
      this.#core.log(
        "INFO",
        `majority in name conflict resolution ${score}`,
      );
      return "won";
    }
    if (responses === 0 || 2 * responses < voters) {
      this.#core.log(
        "WARN",
        `no verdict in name conflict resolution, going on ${score}, of ${voters} members asked`,
      );
      return "noVerdict";
    }
    this.#core.log(
      "WARN",
      `minority in name conflict resolution, quiting ${score}`,
    );
    return "lost";
  }

  #isOurs({ addr, port }: MemberRecord): boolean {
    const { advertiseAddr, advertisePort } = this.#core.config.swim;
    return port === advertisePort && isSameIp(addr, advertiseAddr);
  }
}

/** A member as we describe it to others. */
function recordOf(member: Member): MemberRecord {
  return { ...member, status: STATUS_NUMBERS[member.status] };
}
