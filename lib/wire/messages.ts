/**
 * The messages of the SWIM layer: their type bytes, fields and encodings.
 *
 * A message is one type byte followed by one msgpack map. Packets carry most of
 * them, streams some (see `stream_frame.ts`). Field names on the wire are Go's
 * (`SeqNo`, `SourceAddr`); here they are ours. Source: memberlist `net.go`.
 */

/** First byte of every message. Numbers are memberlist's. */
export const MessageType = {
  ping: 0,
  indirectPing: 1,
  ack: 2,
  suspect: 3,
  alive: 4,
  dead: 5,
  pushPull: 6,
  compound: 7,
  user: 8,
  compress: 9,
  encrypt: 10,
  nack: 11,
  crc: 12,
  error: 13,
  label: 244,
} as const;

/** Asks `node` for an ack with the same `seqNo`. */
export interface Ping {
  readonly kind: "ping";
  /** Ties the ack to the ping; unsigned 32 bits. */
  readonly seqNo: number;
  /** Name of the intended target; empty means whoever receives it. */
  readonly node: string;
  /** Address bytes to answer to; empty from senders that do not say. */
  readonly sourceAddr: Uint8Array;
  readonly sourcePort: number;
  readonly sourceNode: string;
}

/** Asks a third member to ping `node` on our behalf. */
export interface IndirectPing {
  readonly kind: "indirectPing";
  readonly seqNo: number;
  /** Address bytes of the member to probe. */
  readonly target: Uint8Array;
  readonly port: number;
  readonly node: string;
  /** Whether the asker wants to be told that no ack came. */
  readonly nack: boolean;
  readonly sourceAddr: Uint8Array;
  readonly sourcePort: number;
  readonly sourceNode: string;
}

export interface Ack {
  readonly kind: "ack";
  readonly seqNo: number;
  /** Bytes of the layer above (Serf: a network coordinate); empty for none. */
  readonly payload: Uint8Array;
}

export interface Nack {
  readonly kind: "nack";
  readonly seqNo: number;
}

/** `from` has not heard from `node`. */
export interface Suspect {
  readonly kind: "suspect";
  readonly incarnation: number;
  readonly node: string;
  readonly from: string;
}

/** What a node says of itself: everything but its incarnation. */
export interface NodeDescriptor {
  readonly name: string;
  /** 4 or 16 address bytes exactly as received. */
  readonly addr: Uint8Array;
  readonly port: number;
  /** Opaque bytes of the layer above (Serf: tags), at most 512. */
  readonly meta: Uint8Array;
  /** Protocol versions, six bytes: PMin PMax PCur DMin DMax DCur. */
  readonly vsn: Uint8Array;
}

export interface Alive {
  readonly kind: "alive";
  readonly incarnation: number;
  readonly node: NodeDescriptor;
}

/** `node` is dead, or left when `from` is `node` itself. */
export interface Dead {
  readonly kind: "dead";
  readonly incarnation: number;
  readonly node: string;
  readonly from: string;
}

/** Bytes for the layer above. */
export interface UserMessage {
  readonly kind: "user";
  readonly body: Uint8Array;
}

/** Everything that a packet can carry once its layers are off. */
export type Message =
  | Ping
  | IndirectPing
  | Ack
  | Nack
  | Suspect
  | Alive
  | Dead
  | UserMessage;

/** State numbers of a push/pull; the order is memberlist's. */
export type NodeStateName = "alive" | "suspect" | "dead" | "left";

/** One row of a push/pull: what the sender holds about a member. */
export interface NodeState {
  readonly node: NodeDescriptor;
  readonly incarnation: number;
  /** `undefined` for a state number that we do not know; such rows are skipped. */
  readonly state: NodeStateName | undefined;
}

/** A full exchange of state. */
export interface PushPull {
  readonly kind: "pushPull";
  readonly join: boolean;
  readonly states: readonly NodeState[];
  /** State of the layer above; empty for none. */
  readonly userState: Uint8Array;
}

/** The answer to a stream whose outer layers could not be read. */
export interface ErrorResponse {
  readonly kind: "error";
  readonly text: string;
}

/** Everything that a stream can carry once its layers are off. */
export type StreamMessage = Ping | Ack | PushPull | UserMessage | ErrorResponse;
