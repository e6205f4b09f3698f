/**
 * The system's C library, for the few calls that the runtime does not offer.
 *
 * Not for anything that Deno can do itself. Each user names the functions that it
 * calls, so that this list stays short and stands beside the reason.
 */

/** Where systems keep the C library that the runtime itself uses. */
export const LIBC_PATHS: readonly string[] = [
  "/lib/x86_64-linux-gnu/libc.so.6",
  "/lib/aarch64-linux-gnu/libc.so.6",
  "/lib64/libc.so.6",
  "/usr/lib64/libc.so.6",
  "/usr/lib/libc.so.6",
  "/usr/lib/libSystem.B.dylib",
];

/**
 * Opens the library.
 *
 * Never asks at the terminal for leave to do so: without permission it fails.
 *
 * @param symbols the functions to call
 * @throws {Error} the last reason why there is no library to call
 */
export function openLibc<Symbols extends Deno.ForeignLibraryInterface>(
  symbols: Symbols,
): Deno.DynamicLibrary<Symbols> {
  let reason: unknown;
  for (const path of LIBC_PATHS) {
    if (isForAnotherSystem(path)) continue;
    try {
      if (
        Deno.permissions.querySync({ name: "ffi", path }).state !== "granted"
      ) {
        throw new Error(`No permission to use ${path}`);
      }
      return Deno.dlopen(path, symbols);
    } catch (error) {
      reason = error;
    }
  }
  throw reason ?? new Error(`No C library is known for ${Deno.build.os}`);
}

function isForAnotherSystem(path: string): boolean {
  const isOfMac = path.endsWith(".dylib");
  return isOfMac !== (Deno.build.os === "darwin") ||
    Deno.build.os === "windows";
}
