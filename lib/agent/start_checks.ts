/**
 * What can be known to be wrong before an agent is started.
 *
 * The engine refuses settings that are out of its range, and files are opened
 * only at the start; `serf agent -check` wants to know before, and all of it.
 * The messages are those of a start that fails.
 *
 * Source: serf `command.go` (setupAgent, startAgent), `agent.go` (Create,
 * loadTagsFile, loadKeyringFile), `serf.go` (Create).
 */

import { dirname } from "node:path";
import { decodeBase64 } from "../kit/base64.ts";
import { resolveJoinAddress, resolveListenAddress } from "../net/resolve.ts";
import { unixPathOf } from "../net/rpc_endpoint.ts";
import { fileErrorText } from "../net/system_error.ts";
import { serfConfig } from "../serf/config.ts";
import { META_BYTES_MAX } from "../swim/config.ts";
import { encodeTags } from "../wire/serf_messages.ts";
import { DEFAULT_BIND_PORT } from "./config.ts";
import { readKeyringFile } from "./keyring_file.ts";
import {
  ConfigError,
  type MergedSettings,
  type SettingName,
} from "./config_layer.ts";
import { readTagsFile, refuseOtherTags } from "./tags_file.ts";

const SETUP = "Failed to setup the Serf agent: ";
const CREATE = "Failed to start the Serf agent: Error creating Serf: ";

/** Settings that the engine will refuse. */
export function engineProblems(merged: MergedSettings): ConfigError[] {
  const { protocol, nodeName, validateNodeNames, tags } = merged;
  const { userEventBytesMax } = merged;
  const problems: ConfigError[] = [];
  const check = (
    setting: SettingName,
    given: Partial<Parameters<typeof serfConfig>[0]>,
    name = "any",
  ) => {
    try {
      serfConfig({
        ...given,
        swim: {
          name,
          advertiseAddr: new Uint8Array(4),
          advertisePort: 0,
        },
      });
    } catch (error) {
      problems.push(problem(setting, CREATE, error));
    }
  };
  check("protocol", { protocolVersion: protocol });
  check("userEventBytesMax", { userEventBytesMax });
  check("nodeName", { validateNodeNames }, nodeName);
  if (isTooLong(tags, protocol)) {
    problems.push(problem("tags", CREATE, TAGS_TOO_LONG));
  }
  if (!isKeyLength(merged.encryptKey)) {
    problems.push(
      problem("encryptKey", `${CREATE}Failed to create memberlist: `, KEY_SIZE),
    );
  }
  return problems;
}

/** Files and addresses with which a start will fail. */
export async function outsideProblems(
  merged: MergedSettings,
): Promise<ConfigError[]> {
  const { tagsFile, keyringFile, snapshotPath, tags, protocol } = merged;
  const checks: [SettingName, string, () => unknown][] = [];
  if (tagsFile !== "") {
    let restored: ReadonlyMap<string, string> | undefined;
    checks.push(["tagsFile", SETUP, async () => {
      refuseOtherTags(tags);
      restored = await readTagsFile(tagsFile);
    }], ["tagsFile", CREATE, () => {
      if (restored === undefined) return;
      if (isTooLong(restored, protocol)) throw new Error(TAGS_TOO_LONG);
    }]);
  }
  if (keyringFile !== "") {
    const hasKey = merged.encryptKey !== "";
    checks.push([
      "keyringFile",
      SETUP,
      () => checkKeyringFile(keyringFile, hasKey),
    ]);
  }
  if (snapshotPath !== "") {
    checks.push([
      "snapshotPath",
      `${CREATE}Failed to setup snapshot: failed to open snapshot: `,
      () => checkSnapshot(snapshotPath),
    ]);
  }
  checks.push([
    "rpcAddr",
    "Error starting RPC listener: listen tcp: ",
    async () => {
      const { rpcAddr } = merged;
      if (unixPathOf(rpcAddr) === undefined) {
        await resolveListenAddress(rpcAddr);
      }
    },
  ]);
  for (const setting of ["startJoin", "retryJoin"] as const) {
    for (const address of merged[setting]) {
      checks.push([
        setting,
        `Invalid address to join '${address}': `,
        // Whether a name is known is a matter of the moment, its form is not.
        () => resolveJoinAddress(address, DEFAULT_BIND_PORT, nobody),
      ]);
    }
  }
  const problems: ConfigError[] = [];
  for (const [setting, prefix, check] of checks) {
    try {
      await check();
    } catch (error) {
      problems.push(problem(setting, prefix, error));
    }
  }
  return problems;
}

const KEY_LENGTHS: readonly number[] = [16, 24, 32];
const KEY_SIZE = "key size must be 16, 24 or 32 bytes";
const TAGS_TOO_LONG =
  `Encoded length of tags exceeds limit of ${META_BYTES_MAX} bytes`;
const nobody = () => Promise.resolve([]);

function problem(
  setting: SettingName,
  prefix: string,
  reason: unknown,
): ConfigError {
  const text = reason instanceof Error ? reason.message : String(reason);
  return new ConfigError(prefix + text, { cause: reason, setting });
}

function isTooLong(
  tags: ReadonlyMap<string, string>,
  protocol: number,
): boolean {
  return encodeTags(tags, protocol).length > META_BYTES_MAX;
}

async function checkKeyringFile(path: string, hasKey: boolean): Promise<void> {
  if (hasKey) {
    throw new Error("Encryption key not allowed while using a keyring");
  }
  for (const key of await readKeyringFile(path)) {
    if (!KEY_LENGTHS.includes(key.length)) {
      throw new Error(`Failed to restore keyring: ${KEY_SIZE}`);
    }
  }
}

/**
 * Directories that must be there when the agent starts, or before it writes, and
 * are not there yet; a sentence for each. Services make theirs at the start, so
 * that this is no mistake before it.
 */
export async function missingDirectories(
  { snapshotPath, tagsFile }: MergedSettings,
): Promise<string[]> {
  const needed = new Map<string, string[]>();
  const files = [["snapshot_path", snapshotPath], ["tags_file", tagsFile]];
  for (const [key = "", path = ""] of files) {
    if (path === "" || !await isMissing(dirname(path))) continue;
    needed.set(dirname(path), [...needed.get(dirname(path)) ?? [], key]);
  }
  return [...needed].map(([directory, keys]) =>
    `The directory ${directory} of '${keys.join("' and '")}' does not exist; ` +
    "make it before the start, unless the service does (StateDirectory= of systemd)"
  );
}

async function isMissing(path: string): Promise<boolean> {
  try {
    await Deno.stat(path);
    return false;
  } catch (error) {
    return error instanceof Deno.errors.NotFound;
  }
}

/** A snapshot is made when it is not there; see `missingDirectories` for its directory. */
async function checkSnapshot(path: string): Promise<void> {
  const directory = dirname(path);
  try {
    if (!await isMissing(directory)) await Deno.stat(directory);
  } catch (error) {
    throw new Error(fileErrorText("open", path, error));
  }
  if (await isDirectory(path)) throw new Error(`open ${path}: is a directory`);
}

async function isDirectory(path: string): Promise<boolean> {
  try {
    return (await Deno.stat(path)).isDirectory;
  } catch {
    return false;
  }
}

/** Whether a key has one of the lengths there are; no key has none. */
function isKeyLength(text: string): boolean {
  try {
    return text === "" || KEY_LENGTHS.includes(decodeBase64(text).length);
  } catch {
    // No base64, which is found when the settings are resolved.
    return true;
  }
}
