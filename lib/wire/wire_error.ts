/** What is wrong with bytes from a peer. */
export type WireErrorCode =
  | "truncated"
  | "oversized"
  | "badType"
  | "badKey"
  | "badValue"
  | "badChecksum"
  | "badCompression"
  | "badLabel"
  | "notEncrypted"
  | "notConfigured"
  | "empty";

/**
 * Bytes from a peer that do not decode. Costs one message; state is unchanged.
 *
 * `detail` is worded as memberlist words it in its log, since it ends up in
 * ours and, for streams, in the answer to the peer.
 */
export class WireError extends Error {
  override name = "WireError";
  constructor(
    readonly code: WireErrorCode,
    readonly detail: string,
    options?: ErrorOptions,
  ) {
    super(`Cannot decode message: ${detail}`, options);
  }
}

/** Whether the keys of the two sides do not fit, or one side has none. */
export function isKeyMismatch({ code }: WireError): boolean {
  return code === "badKey" || code === "notEncrypted" ||
    code === "notConfigured";
}

/**
 * Decodes, and puts the words of the log in front of what a refusal says.
 *
 * @throws {WireError} with detail `context: detail`; what is no `WireError` is a
 * bug of ours and passes as it is
 */
export function decodeAs<T>(
  context: string,
  decode: (bytes: Uint8Array) => T,
  bytes: Uint8Array,
): T {
  try {
    return decode(bytes);
  } catch (cause) {
    if (!(cause instanceof WireError)) throw cause;
    throw new WireError(cause.code, `${context}: ${cause.detail}`, { cause });
  }
}
