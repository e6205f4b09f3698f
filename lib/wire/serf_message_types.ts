/**
 * Numbers that mark Serf messages and their variants.
 *
 * Source: serf `messages.go`.
 */

/** First byte of every Serf message. Numbers are Serf's. */
export const SerfMessageType = {
  leave: 0,
  join: 1,
  pushPull: 2,
  userEvent: 3,
  query: 4,
  queryResponse: 5,
  conflictResponse: 6,
  keyRequest: 7,
  keyResponse: 8,
  relay: 9,
} as const;

/** Bits of a query's flags; others are ignored. */
export const QueryFlag = {
  /** The asker wants an ack from everyone that the filters match. */
  ack: 1,
  /** Not to be gossiped on. */
  noBroadcast: 2,
} as const;

/** Bits of a response's flags; others are ignored. */
export const ResponseFlag = {
  /** An ack, not an answer. */
  ack: 1,
} as const;
