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
 * A reload brings the tags of the settings. It never undoes what somebody told this
 * agent by other means (the original does, and empties the tags file):
 *
 * | Tags are from      | A reload takes                                           |
 * | ------------------ | -------------------------------------------------------- |
 * | the tags file      | what the file says now; the settings have none           |
 * | settings           | the settings, and over them what `serf tags` has changed |
 *
 * The tags file belongs to its owner, too. If it was edited, its tags are the base
 * of the next change; if it cannot be read, the change is refused and the file is
 * left alone. If it is gone, it is written anew.
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

/** The tags file. */
export interface TagStore {
  /** @returns `undefined` when there is no file @throws {Error} when it is no good */
  load(): Promise<ReadonlyMap<string, string> | undefined>;
  /** Makes a set last. @throws {Error} and the set is not announced */
  save(tags: ReadonlyMap<string, string>): Promise<void>;
  /** Called when the file holds tags that we did not write, and takes them over. */
  onEdited(tags: ReadonlyMap<string, string>): void;
}

/** What a reload has left as it was. */
export interface KeptTags {
  /** Names of tags that stay though the settings say something else; sorted. */
  readonly set: readonly string[];
  /** Names of tags that the settings have, and that stay deleted. */
  readonly deleted: readonly string[];
}

export class TagChanger {
  readonly #holder: TagHolder;
  readonly #store: TagStore | undefined;
  /** What was changed while the agent ran; `undefined` for deleted. */
  readonly #overrides = new Map<string, string | undefined>();
  /** Fulfilled when the last change that was asked for has been taken over. */
  #turn: Promise<void> = Promise.resolve();

  /** @param store the tags file, if there is one */
  constructor(holder: TagHolder, store?: TagStore) {
    this.#holder = holder;
    this.#store = store;
  }

  /**
   * Deletes, then sets, and waits until a peer knows.
   *
   * @throws {Error} with the text for the user. All is as it was then, unless the
   * tags were announced and no peer took note in time.
   */
  async change(changes: TagChanges): Promise<void> {
    await this.#enqueue({
      successorOf: (before) => {
        const next = new Map(before);
        for (const name of changes.delete) next.delete(name);
        for (const [name, value] of changes.set) next.set(name, value);
        return next;
      },
      onTaken: () => {
        for (const name of changes.delete) {
          this.#overrides.set(name, undefined);
        }
        for (const [name, value] of changes.set) {
          this.#overrides.set(name, value);
        }
      },
    });
  }

  /**
   * Takes over the tags of the settings where nothing else was said, otherwise as
   * `change`. With a tags file there are none, and what the file says counts.
   *
   * @param onKept hears what stays, before a peer knows of the rest
   */
  async reload(
    configured: ReadonlyMap<string, string>,
    onKept: (kept: KeptTags) => void,
  ): Promise<void> {
    await this.#enqueue(
      this.#store === undefined
        ? {
          successorOf: () => withOverrides(configured, this.#overrides),
          onTaken: () => onKept(keptOver(configured, this.#overrides)),
        }
        : {
          successorOf: (before) => before,
          onTaken: () =>
            onKept({ set: [...this.#holder.tags.keys()].sort(), deleted: [] }),
          keepsFile: true,
        },
    );
  }

  async #enqueue(step: Step): Promise<void> {
    const started = this.#turn.then(() => this.#start(step));
    this.#turn = started.then(() => {}, () => {});
    const { announced } = await started;
    await announced;
  }

  /** @returns wrapped, since the turn ends before a peer knows */
  async #start(
    { successorOf, onTaken, keepsFile = false }: Step,
  ): Promise<{ readonly announced: Promise<void> }> {
    const holder = this.#holder;
    const stored = await this.#store?.load();
    const before = stored ?? holder.tags;
    const next = successorOf(before);
    holder.checkTags(next);
    const isEdited = stored !== undefined && !isSame(stored, holder.tags);
    if (isEdited) this.#store?.onEdited(stored);
    if (keepsFile && !isEdited) {
      if (stored === undefined && next.size > 0) await this.#store?.save(next);
      onTaken();
      return { announced: Promise.resolve() };
    }
    if (!keepsFile) await this.#store?.save(next);
    try {
      // While the file was written, the agent may have begun to leave.
      holder.checkTags(next);
    } catch (error) {
      if (!keepsFile) await this.#store?.save(before);
      throw error;
    }
    const announced = holder.setTags(next);
    onTaken();
    return { announced };
  }
}

/** One change of the tags. */
interface Step {
  successorOf(before: Tags): Tags;
  /** Called once the tags are ours. */
  onTaken(): void;
  /** Whether the tags in the file stay, so that only an edit is announced. */
  readonly keepsFile?: boolean;
}

function withOverrides(
  configured: Tags,
  overrides: ReadonlyMap<string, string | undefined>,
): Tags {
  const tags = new Map(configured);
  for (const [name, value] of overrides) {
    if (value === undefined) tags.delete(name);
    else tags.set(name, value);
  }
  return tags;
}

function keptOver(
  configured: Tags,
  overrides: ReadonlyMap<string, string | undefined>,
): KeptTags {
  const different = [...overrides].filter(([name, value]) =>
    configured.get(name) !== value
  );
  const namesOf = (isDeleted: boolean) =>
    different.filter(([, value]) => (value === undefined) === isDeleted)
      .map(([name]) => name).sort();
  return { set: namesOf(false), deleted: namesOf(true) };
}

function isSame(a: Tags, b: Tags): boolean {
  return a.size === b.size &&
    [...a].every(([name, value]) => b.get(name) === value);
}
