/**
 * The snapshot file on the disk.
 *
 * What is promised to whoever reads the file, also after a crash at any moment:
 *
 * - It never holds anything but whole lines and, at its very end, a part of one.
 *   Nothing is ever written behind such a part: a write that failed half-way is
 *   taken back first, and where even that fails, only a replacement of the whole
 *   file is accepted.
 * - A replacement that fails leaves the old file.
 *
 * Others may do to the file what they like, and the system says nothing to us: we
 * would go on to write into a file without a name. `change` looks.
 *
 * The file is locked, as a hint to a second agent that was given the same path.
 * The lock goes with the process.
 *
 * Not for: when to write what, and what to do about errors (`snapshot_store.ts`).
 */

import { readSnapshot, type RestoredSnapshot } from "../serf/snapshot_file.ts";
import { replaceFile } from "./atomic_file.ts";
import { SnapshotError } from "./snapshot_error.ts";
import { fileErrorText } from "./system_error.ts";

/** Permissions of a file that is made here, before the process's mask. */
const MODE = 0o644;
/** What is appended to the name while a replacement is written; upstream's. */
const SUCCESSOR_SUFFIX = ".compact";
/**
 * Longest file that is read, bytes; far above what members can fill. The file is
 * compacted long before.
 */
const FILE_BYTES_MAX = 256 * 1_024 * 1_024;

/** What the store does to the disk. Calls do not overlap. */
export interface SnapshotDisk {
  /** @throws {Error} when the lines are not in the file, or not all of them */
  append(lines: Uint8Array): Promise<void>;
  /** @throws {Error} when the old contents are still there */
  replace(contents: Uint8Array): Promise<void>;
  /**
   * Whether the file is still the one that we wrote; `undefined` if it is, or else
   * what has happened to it: `/a/file was deleted`. Never fails.
   */
  change(): Promise<string | undefined>;
  /** Returns when everything written would survive a loss of power. */
  sync(): Promise<void>;
  close(): void;
}

export interface OpenedSnapshot {
  readonly disk: SnapshotDisk;
  readonly restored: RestoredSnapshot;
}

/**
 * Opens and reads the file; makes it if there is none, but not its folder. The end
 * of a line that was cut off is removed.
 *
 * @param options whether a `leave` in it is ignored
 * @throws {SnapshotError} when it cannot be opened or read, is not a regular file,
 * or is larger than 256 MiB
 */
export async function openSnapshotFile(
  path: string,
  options: { readonly rejoinAfterLeave: boolean },
): Promise<OpenedSnapshot> {
  const file = await openForAppending(path, MODE).catch((error) => {
    throw openError(fileErrorText("open", path, error), error);
  });
  try {
    return await read(path, file, options);
  } catch (error) {
    file.close();
    if (error instanceof SnapshotError) throw error;
    throw openError(fileErrorText("read", path, error), error);
  }
}

async function read(
  path: string,
  file: Deno.FsFile,
  options: { readonly rejoinAfterLeave: boolean },
): Promise<OpenedSnapshot> {
  const { isFile, size, mode } = await file.stat();
  if (!isFile) throw openError(`open ${path}: not a regular file`);
  if (size > FILE_BYTES_MAX) {
    throw openError(`open ${path}: larger than ${FILE_BYTES_MAX} bytes`);
  }
  const isOurs = await tryLock(file);
  const bytes = await Deno.readFile(path);
  const snapshot = readSnapshot(bytes, options);
  const disk = new FileDisk(await Deno.realPath(path), file, {
    mode: (mode ?? MODE) & 0o777,
    bytes: snapshot.bytes,
    isTorn: snapshot.bytes < bytes.length,
  });
  await disk.identify();
  await disk.mend();
  if (isOurs) return { disk, restored: snapshot };
  const text = `Snapshot ${path} is in use by another process`;
  const complaints = [
    { level: "WARN", text } as const,
    ...snapshot.complaints,
  ];
  return { disk, restored: { ...snapshot, complaints } };
}

class FileDisk implements SnapshotDisk {
  readonly #path: string;
  readonly #mode: number;
  /** Absent when the last replacement has yet to be opened. */
  #file: Deno.FsFile | undefined;
  /** Length of the file up to the end of its last whole line. */
  #bytes: number;
  /** Whether something else may stand behind it. */
  #isTorn: boolean;
  /** What tells the open file from others; absent where it is not known. */
  #identity: string | undefined;

  /** @param path free of links, so that a replacement comes to lie beside it */
  constructor(
    path: string,
    file: Deno.FsFile,
    state: {
      readonly mode: number;
      readonly bytes: number;
      readonly isTorn: boolean;
    },
  ) {
    this.#path = path;
    this.#file = file;
    this.#mode = state.mode;
    this.#bytes = state.bytes;
    this.#isTorn = state.isTorn;
  }

  async change(): Promise<string | undefined> {
    try {
      const { size, ...found } = await Deno.stat(this.#path);
      const identity = identityOf(found);
      if (this.#identity !== undefined && identity !== this.#identity) {
        return `${this.#path} was replaced by another file`;
      }
      const isOurs = this.#isTorn ? size >= this.#bytes : size === this.#bytes;
      return isOurs ? undefined : `${this.#path} was changed by somebody else`;
    } catch (error) {
      if (!(error instanceof Deno.errors.NotFound)) return undefined;
      return `${this.#path} was deleted`;
    }
  }

  /** Notes which file is open, before it is written to. */
  async identify(): Promise<void> {
    this.#identity = undefined;
    const info = await this.#file?.stat();
    if (info !== undefined) this.#identity = identityOf(info);
  }

  /** Removes what is not a whole line. Where that fails, `append` fails too. */
  async mend(): Promise<void> {
    try {
      await this.#untorn();
    } catch {
      // The next append tries again and says why it cannot.
    }
  }

  async append(lines: Uint8Array): Promise<void> {
    try {
      const file = await this.#untorn();
      this.#isTorn = true;
      for (let rest = lines; rest.length > 0;) {
        rest = rest.subarray(await file.write(rest));
      }
      this.#isTorn = false;
      this.#bytes += lines.length;
    } catch (error) {
      await this.mend();
      throw new Error(fileErrorText("write", this.#path, error), {
        cause: error,
      });
    }
  }

  async replace(contents: Uint8Array): Promise<void> {
    try {
      await replaceFile(this.#path, contents, {
        mode: this.#mode,
        successor: this.#path + SUCCESSOR_SUFFIX,
      });
    } catch (error) {
      throw new Error(
        "failed to install new snapshot: " +
          fileErrorText("replace", this.#path, error),
        { cause: error },
      );
    }
    // What is open is the file that was replaced.
    this.#file?.close();
    this.#file = undefined;
    this.#identity = undefined;
    this.#bytes = contents.length;
    this.#isTorn = false;
    // If this fails, the next append tries again and says why it cannot.
    await this.#opened().catch(() => {});
  }

  /** What replaces the file is written through as it is installed. */
  async sync(): Promise<void> {
    await this.#file?.syncData();
  }

  close(): void {
    this.#file?.close();
  }

  async #opened(): Promise<Deno.FsFile> {
    if (this.#file === undefined) {
      this.#file = await openForAppending(this.#path, this.#mode);
      await tryLock(this.#file);
      await this.identify();
    }
    return this.#file;
  }

  /** The file, with nothing behind its last whole line. */
  async #untorn(): Promise<Deno.FsFile> {
    const file = await this.#opened();
    if (this.#isTorn) await file.truncate(this.#bytes);
    this.#isTorn = false;
    return file;
  }
}

/** @returns `undefined` on systems that number no files */
function identityOf(
  { dev, ino }: Pick<Deno.FileInfo, "dev" | "ino">,
): string | undefined {
  return ino === null ? undefined : `${dev} ${ino}`;
}

/** @returns false when another process holds the file */
async function tryLock(file: Deno.FsFile): Promise<boolean> {
  try {
    return await file.tryLock(true);
  } catch {
    // Not every file system has locks.
    return true;
  }
}

function openForAppending(path: string, mode: number): Promise<Deno.FsFile> {
  return Deno.open(path, { read: true, append: true, create: true, mode });
}

function openError(reason: string, cause?: unknown): SnapshotError {
  return new SnapshotError(`failed to open snapshot: ${reason}`, { cause });
}
