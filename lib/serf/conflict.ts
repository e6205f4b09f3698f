/**
 * Two nodes that claim one name: who has to go.
 *
 * Each of the two asks the cluster whose name it is. Every member but those of
 * that name says whom it holds it for, and who is not named by a majority of the
 * answers shuts down. With no answer at all there is no majority either: two
 * nodes of one name that are alone with each other both go. The vote takes its
 * whole time, for a hasty count could end the wrong node.
 *
 * One vote at a time: further conflicts while it runs are logged, and it decides
 * them as well. Upstream holds one for each.
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
    if (isResolved && !this.#isVoting) this.#startVote(nowMs);
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
    const { core } = this.#parts;
    const vote = new Vote(core);
    const sink: QuerySink = {
      reply: (reply, replyMs) => vote.count(reply, replyMs),
      done: (endMs, error) => {
        this.#isVoting = false;
        if (error === undefined && !vote.isWon()) this.#parts.onLost(endMs);
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
  #responses = 0;
  #matching = 0;

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
    this.#responses++;
    if (holder !== undefined && this.#isOurs(holder)) this.#matching++;
  }

  /** Says how it ended. */
  isWon(): boolean {
    const [matching, responses] = [this.#matching, this.#responses];
    const majority = Math.floor(responses / 2) + 1;
    const score = `[${matching} / ${responses}]`;
    if (matching >= majority) {
      this.#core.log(
        "INFO",
        `majority in name conflict resolution ${score}`,
      );
      return true;
    }
    this.#core.log(
      "WARN",
      `minority in name conflict resolution, quiting ${score}`,
    );
    return false;
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
