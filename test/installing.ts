/**
 * Installs what tests need, before a full run: with apt-get, where that is there
 * and we are root or may be without a password. Elsewhere, and where it fails, the
 * tests that need more are skipped.
 */

import {
  describe,
  missingPrograms,
  packagesOf,
  type ProgramName,
} from "./programs.ts";

/** A machine without a network is not to be waited for long. */
const APT_GET = [
  "apt-get",
  "-q",
  ...["-o", "Acquire::Retries=1", "-o", "Acquire::http::Timeout=30"],
  ...["-o", "DPkg::Lock::Timeout=120"],
];

/**
 * Installs the missing programs, as far as possible, and says so.
 *
 * @param isWanted with false it only says what is missing
 */
export async function installMissing(isWanted: boolean): Promise<void> {
  const missing = missingPrograms();
  if (missing.length === 0) return;
  say("Some tests need programs that are not here:", missing);
  const asRoot = isWanted ? await wayToRoot() : undefined;
  if (asRoot === undefined) {
    console.log(
      isWanted
        ? "They cannot be installed here: that takes apt-get, and root or sudo."
        : "They are not installed, because of --no-install.",
    );
    return;
  }
  const packages = packagesOf(missing);
  console.log(`Installing ${packages.join(" ")}`);
  const isUpdated = await succeeds([...asRoot, ...APT_GET, "update"]);
  const install = (names: readonly string[]) =>
    succeeds([
      ...asRoot,
      ...["env", "DEBIAN_FRONTEND=noninteractive"],
      ...[...APT_GET, "install", "-y", "--no-install-recommends", ...names],
    ]);
  // One that this system does not have must not keep out the others.
  if (!await install(packages) && isUpdated) {
    for (const name of packages) await install([name]);
  }
  const left = missingPrograms();
  if (left.length > 0) say("These could not be installed:", left);
}

function say(title: string, programs: readonly ProgramName[]): void {
  console.log([title, ...programs.map(describe)].join("\n  "));
}

/** What to put before a command for root, if this is a Debian and we may. */
async function wayToRoot(): Promise<string[] | undefined> {
  if (Deno.build.os !== "linux") return undefined;
  if (!await succeeds(["apt-get", "--version"], "null")) return undefined;
  if (Deno.uid() === 0) return [];
  const sudo = ["sudo", "-n"];
  return await succeeds([...sudo, "true"], "null") ? sudo : undefined;
}

async function succeeds(
  [program = "", ...args]: readonly string[],
  output: "null" | "inherit" = "inherit",
): Promise<boolean> {
  try {
    const { success } = await new Deno.Command(program, {
      args,
      stdin: "null",
      stdout: output,
      stderr: output,
    }).spawn().status;
    return success;
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
    return false;
  }
}
