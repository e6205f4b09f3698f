/**
 * Real executables, by `deno compile`.
 *
 * Its run-time is downloaded once for each target, and kept by Deno; a machine
 * that has it in a file names that file in DENORT_BIN. The program goes in as it
 * was bundled (`bundle.ts`). The cache of compiled code is off: these executables
 * keep it under a name that is known to everybody in the directory for temporary
 * files, so that on a shared machine any user could prepare code for an agent of
 * root's.
 */

import { ISOLATION_FLAGS, PERMISSION_FLAGS } from "./permissions.ts";
import { runDeno } from "./run_deno.ts";

/** What executables can be built for: our names, and the compiler's. */
export const TARGETS: Readonly<Record<string, string>> = {
  "linux-x64": "x86_64-unknown-linux-gnu",
  "linux-arm64": "aarch64-unknown-linux-gnu",
  "macos-x64": "x86_64-apple-darwin",
  "macos-arm64": "aarch64-apple-darwin",
  "windows-x64": "x86_64-pc-windows-msvc",
};

/** The run-time could not be downloaded; the message says why, in a few words. */
export class DownloadError extends Error {
  override name = "DownloadError";
}

export interface CompileOptions {
  /** The file that the bundled program begins with. */
  readonly program: string;
  readonly output: string;
  /** A value of `TARGETS`; this machine unless given. */
  readonly target?: string | undefined;
}

/**
 * Builds one executable.
 *
 * @throws {DownloadError} when the run-time cannot be had
 * @throws {Error} when something else fails
 */
export async function compile(options: CompileOptions): Promise<void> {
  const { program, output, target } = options;
  const { success, stderr } = await runDeno([
    ...["compile", "--no-check", "--no-code-cache"],
    ...ISOLATION_FLAGS,
    ...PERMISSION_FLAGS,
    ...(target === undefined ? [] : ["--target", target]),
    ...["--output", output, program],
  ]);
  if (success) return;
  const reason = downloadProblem(stderr);
  if (reason !== undefined) throw new DownloadError(reason);
  throw new Error(`Cannot compile the program:\n${stderr}`);
}

/**
 * Why the download failed.
 *
 * @param stderr what `deno compile` said
 * @returns `undefined` when that was not what failed
 */
export function downloadProblem(stderr: string): string | undefined {
  if (!stderr.includes("Setting up base binary")) return undefined;
  const cause = /error sending request for url \((\S+)\): (.*)$/m.exec(stderr);
  if (cause === null) return "its download failed";
  return `${cause[1]}: ${cause[2]}`;
}
