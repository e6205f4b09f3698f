/**
 * The keys that an agent starts with: one from its settings, or those of the
 * keyring file, or none.
 *
 * Source: serf `agent.go` (setupAgent, loadKeyringFile).
 */

import type { Keyring } from "../wire/keyring.ts";
import type { AgentSettings } from "./config.ts";
import { KeyringFileError, readKeyringFile } from "./keyring_file.ts";
import type { AgentLog } from "./log.ts";
import { AgentStartError, setupText, startText } from "./start_error.ts";

/**
 * The keyring of an agent; `undefined` when it does not encrypt.
 *
 * @throws {AgentStartError} when there are keys from both places, or none in the
 * file, or one of a bad size
 */
export async function openKeyring(
  settings: Pick<AgentSettings, "encryptKey" | "keyringFile">,
  log: AgentLog,
): Promise<Keyring | undefined> {
  const { encryptKey, keyringFile } = settings;
  if (keyringFile === "") {
    return encryptKey && await makeKeyring(
      [encryptKey],
      (reason) => startText(`Failed to create memberlist: ${reason}`),
    );
  }
  if (encryptKey !== undefined) {
    throw new AgentStartError(
      setupText("Encryption key not allowed while using a keyring"),
    );
  }
  const keys = await keysIn(keyringFile);
  const keyring = await makeKeyring(
    keys,
    (reason) => setupText(`Failed to restore keyring: ${reason}`),
  );
  const what = `Restored keyring with ${keys.length} keys from ${keyringFile}`;
  log.log("INFO", `agent: ${what}`);
  return keyring;
}

async function keysIn(path: string): Promise<Uint8Array[]> {
  try {
    return await readKeyringFile(path);
  } catch (cause) {
    if (!(cause instanceof KeyringFileError)) throw cause;
    throw new AgentStartError(setupText(cause.message), { cause });
  }
}

/**
 * Loads the ciphers, which an agent without encryption has no use for.
 *
 * @param complaint what is said when a key is of a bad size
 */
async function makeKeyring(
  keys: readonly Uint8Array[],
  complaint: (reason: string) => string,
): Promise<Keyring> {
  const { Keyring } = await import("../wire/keyring.ts");
  try {
    return new Keyring(keys);
  } catch (cause) {
    if (!(cause instanceof RangeError)) throw cause;
    throw new AgentStartError(complaint(cause.message), { cause });
  }
}
