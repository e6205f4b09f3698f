/**
 * The time of day of one process, set while it runs.
 *
 * The kernel has no time of day per process or namespace, and the machine's own is
 * not ours to set. libfaketime is loaded into the process in front of the C
 * library and shifts what it is told; the monotonic clock stays as it is. Programs
 * that ask the kernel directly, as those in Go, are not fooled.
 */

const PLACES = [
  "/usr/lib/x86_64-linux-gnu/faketime/libfaketimeMT.so.1",
  "/usr/lib/aarch64-linux-gnu/faketime/libfaketimeMT.so.1",
  "/usr/lib/faketime/libfaketimeMT.so.1",
  "/usr/lib64/faketime/libfaketimeMT.so.1",
];

/** Where the library is, if it is installed. */
export const FAKETIME: string | undefined = PLACES.find((path) => {
  try {
    return Deno.statSync(path).isFile;
  } catch {
    return false;
  }
});

export class FakeClock implements Disposable {
  readonly #file = Deno.makeTempFileSync({ prefix: "serf_clock_" });
  readonly #library: string;

  constructor(library: string) {
    this.#library = library;
    this.set(0);
  }

  /** The variables with which a process gets this clock. */
  get env(): Record<string, string> {
    return {
      LD_PRELOAD: this.#library,
      FAKETIME_TIMESTAMP_FILE: this.#file,
      FAKETIME_NO_CACHE: "1",
      FAKETIME_DONT_FAKE_MONOTONIC: "1",
    };
  }

  /** Sets the clock, seconds beside the true time. */
  set(seconds: number): void {
    // Replaced in one step: the process reads it at every look at its clock.
    const next = `${this.#file}.next`;
    Deno.writeTextFileSync(next, `${seconds < 0 ? "" : "+"}${seconds}\n`);
    Deno.renameSync(next, this.#file);
  }

  [Symbol.dispose](): void {
    Deno.removeSync(this.#file);
  }
}
