/**
 * Our own tags: as they are gossiped, and the changes under way.
 *
 * The tags of others are derived from their descriptors; see `member.ts`.
 * Source: serf `serf.go` (SetTags).
 */

import { META_BYTES_MAX } from "../swim/config.ts";
import type { SwimEngine } from "../swim/engine.ts";
import type { OperationId } from "../swim/output.ts";
import { encodeTags } from "../wire/serf_messages.ts";
import { type SerfCore, StateError } from "./core.ts";

export class OwnTags {
  readonly #core: SerfCore;
  /** Our operations by those of the SWIM layer that carry them out. */
  readonly #updates = new Map<OperationId, OperationId>();
  #meta: Uint8Array;
  #current: ReadonlyMap<string, string>;

  /** @throws {RangeError} when the configured tags are too long */
  constructor(core: SerfCore) {
    this.#core = core;
    this.#current = core.config.tags;
    this.#meta = this.#encode(core.config.tags);
  }

  /** Our tags by name; all of them, also where the version gossips one alone. */
  get current(): ReadonlyMap<string, string> {
    return this.#current;
  }

  /** Our tags as the SWIM layer gossips them. */
  get meta(): Uint8Array {
    return this.#meta;
  }

  /**
   * Whether tags could be announced now.
   *
   * @throws {RangeError} when they are too long
   * @throws {StateError} when we are not alive: who leaves announces nothing more
   */
  check(tags: ReadonlyMap<string, string>): void {
    if (this.#core.state !== "alive") {
      throw new StateError("Cannot set tags after Leave or Shutdown");
    }
    this.#encode(tags);
  }

  /**
   * Replaces the whole set and tells the cluster.
   *
   * @throws {RangeError | StateError} as `check` does; the old ones stay
   */
  set(
    tags: ReadonlyMap<string, string>,
    swim: SwimEngine,
    nowMs: number,
  ): OperationId {
    const core = this.#core;
    this.check(tags);
    this.#meta = this.#encode(tags);
    this.#current = new Map(tags);
    const operation = core.nextOperation();
    const update = swim.updateMeta(core.config.broadcastTimeoutMs, nowMs);
    this.#updates.set(update, operation);
    return operation;
  }

  /** A broadcast of the SWIM layer is over; it may have been ours. */
  swimFinished(swimOperation: OperationId, error: string | undefined): void {
    const operation = this.#updates.get(swimOperation);
    if (operation === undefined) return;
    this.#updates.delete(swimOperation);
    this.#core.finish(operation, error === undefined ? {} : { error });
  }

  /** Ends all changes without success, since we shut down. */
  abandon(error: string): void {
    for (const operation of this.#updates.values()) {
      this.#core.finish(operation, { error });
    }
    this.#updates.clear();
  }

  #encode(tags: ReadonlyMap<string, string>): Uint8Array {
    const meta = encodeTags(tags, this.#core.config.protocolVersion);
    if (meta.length > META_BYTES_MAX) {
      throw new RangeError(
        `Encoded length of tags exceeds limit of ${META_BYTES_MAX} bytes`,
      );
    }
    return meta;
  }
}
