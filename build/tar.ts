/**
 * A tar archive of files, the same bytes every time.
 *
 * Format: POSIX.1-1988 (ustar), for regular files with short names.
 */

const BLOCK_BYTES = 512;
/** Longest name that a header holds, bytes. */
const NAME_BYTES_MAX = 100;
/** The beginning of 2000: some programs mistrust the very beginning of time. */
const MODIFIED_SECONDS = 946_684_800;

export interface TarFile {
  /** Parts with slashes between them, none of them `.` or `..`. */
  readonly name: string;
  readonly bytes: Uint8Array;
  readonly isExecutable?: boolean;
}

/**
 * The archive, in pieces.
 *
 * @throws {RangeError} when a name is too long or not plain
 */
export function* tar(files: Iterable<TarFile>): Generator<Uint8Array> {
  for (const file of files) {
    yield header(file);
    yield file.bytes;
    yield new Uint8Array(-file.bytes.length & (BLOCK_BYTES - 1));
  }
  yield new Uint8Array(2 * BLOCK_BYTES);
}

function header({ name, bytes, isExecutable }: TarFile): Uint8Array {
  const isPlain = name.split("/").every((part) =>
    /^[\w.-]+$/.test(part) && part !== "." && part !== ".."
  );
  if (!isPlain || name.length > NAME_BYTES_MAX) {
    throw new RangeError(`No name for a file of the archive: "${name}"`);
  }
  const block = new Uint8Array(BLOCK_BYTES);
  const put = (at: number, text: string) =>
    block.set(new TextEncoder().encode(text), at);
  const octal = (at: number, digits: number, value: number) =>
    put(at, value.toString(8).padStart(digits, "0"));
  put(0, name);
  octal(100, 7, isExecutable ? 0o755 : 0o644);
  // Owner and group: root, which those who unpack are told to ignore.
  octal(108, 7, 0);
  octal(116, 7, 0);
  octal(124, 11, bytes.length);
  octal(136, 11, MODIFIED_SECONDS);
  put(156, "0");
  put(257, "ustar");
  put(263, "00");
  // The sum counts its own field as blanks.
  put(148, " ".repeat(8));
  octal(148, 6, block.reduce((sum, byte) => sum + byte, 0));
  block[154] = 0;
  return block;
}
