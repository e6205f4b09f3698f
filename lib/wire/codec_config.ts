/**
 * How a node wraps what it sends and what it demands of what it receives, on
 * packets and streams alike.
 */

import type { Keyring } from "./keyring.ts";
import type { EncryptionVersion } from "./seal_size.ts";

export interface CodecConfig {
  /** Label of the cluster, at most 255 bytes of UTF-8; empty for none. */
  readonly label: string;
  /** Keys; none at all, or no ring, means no encryption. Its keys may change. */
  readonly keyring: Keyring | undefined;
  /** Whether to compress what we send. Compressed bytes are always understood. */
  readonly compression: boolean;
  /** Spoken protocol version, 1 to 5; only 1 changes how we encrypt. */
  readonly protocolVersion: number;
  /** Refuse plaintext while keys are installed. */
  readonly verifyIncoming: boolean;
  /** Encrypt what we send while keys are installed. */
  readonly verifyOutgoing: boolean;
  /** 12 bytes that no call has returned before. */
  readonly nextNonce: () => Uint8Array;
}

/** Whether keys are installed. */
export function isEncrypting(config: CodecConfig): boolean {
  return config.keyring !== undefined && config.keyring.size > 0;
}

/** The form of sealing that the spoken protocol version calls for. */
export function encryptionVersion(config: CodecConfig): EncryptionVersion {
  return config.protocolVersion < 2 ? 0 : 1;
}
