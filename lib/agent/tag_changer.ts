/**
 * Changes to the agent's own tags, one after the other.
 *
 * A change says what to delete and what to set; the engine and the tags file
 * hold whole sets. So each change reads the present set and writes the next, and
 * the writing of a file lies between: without an order, of two changes made at
 * the same time one would undo the other.
 *
 *     check the next set --▶ write it to the tags file --▶ announce it
 *          │                      │                             │
 *          └─ refused ────────────┴─ nothing has changed        └─ now the next
 *                                                                  change may begin
 *
 * The order is that of the original, but for the check: the original writes tags
 * into the file that it then refuses, and cannot be started with that file again.
 *
 * Source: serf `ipc.go` (handleTags), `agent.go` (SetTags).
 */

import type { TagChanges } from "../rpc/protocol.ts";

type Tags = ReadonlyMap<string, string>;

/** Where tags are kept and made known. */
export interface TagHolder {
  /** The whole present set. */
  readonly tags: ReadonlyMap<string, string>;
  /** @throws {Error} when these tags cannot be announced */
  checkTags(tags: ReadonlyMap<string, string>): void;
  /** Takes the tags over before it returns; settles when a peer knows them. */
  setTags(tags: ReadonlyMap<string, string>): Promise<void>;
}

export class TagChanger {
  readonly #holder: TagHolder;
  readonly #save: (tags: ReadonlyMap<string, string>) => Promise<void>;
  /** Fulfilled when the last change that was asked for has been taken over. */
  #turn: Promise<void> = Promise.resolve();

  /** @param save makes a set last; when it throws, the set is not announced */
  constructor(
    holder: TagHolder,
    save: (tags: ReadonlyMap<string, string>) => Promise<void>,
  ) {
    this.#holder = holder;
    this.#save = save;
  }

  /**
   * Deletes, then sets, and waits until a peer knows.
   *
   * @throws {Error} with the text for the user. All is as it was then, unless the
   * tags were announced and no peer took note in time.
   */
  async change(changes: TagChanges): Promise<void> {
    await this.#enqueue((before) => {
      const next = new Map(before);
      for (const name of changes.delete) next.delete(name);
      for (const [name, value] of changes.set) next.set(name, value);
      return next;
    });
  }

  /** Puts a whole new set in place of the present one; otherwise as `change`. */
  async replace(tags: ReadonlyMap<string, string>): Promise<void> {
    await this.#enqueue(() => tags);
  }

  async #enqueue(successorOf: (before: Tags) => Tags): Promise<void> {
    const started = this.#turn.then(() => this.#start(successorOf));
    this.#turn = started.then(() => {}, () => {});
    const { announced } = await started;
    await announced;
  }

  /** @returns wrapped, since the turn ends before a peer knows */
  async #start(
    successorOf: (before: Tags) => Tags,
  ): Promise<{ readonly announced: Promise<void> }> {
    const holder = this.#holder;
    const before = holder.tags;
    const next = successorOf(before);
    holder.checkTags(next);
    await this.#save(next);
    try {
      // While the file was written, the agent may have begun to leave.
      holder.checkTags(next);
    } catch (error) {
      await this.#save(before);
      throw error;
    }
    return { announced: holder.setTags(next) };
  }
}
