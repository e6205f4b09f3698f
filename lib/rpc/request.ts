/**
 * Requests as the server reads them: the table of commands, and how the body of
 * each is understood.
 *
 * A new command is a new entry in `COMMANDS` and a new member of `Request`. Who
 * may send what when is decided in `server_session.ts`.
 *
 * Source: serf, `cmd/serf/command/agent/ipc.go`.
 */

import { millisecondsOf } from "../kit/duration.ts";
import { type Layout, Struct } from "../wire/msgpack.ts";
import { WireError } from "../wire/wire_error.ts";
import {
  type MemberFilter,
  REQUEST_LIMITS,
  type RpcKeyRequest,
  type RpcQuery,
  type TagChanges,
} from "./protocol.ts";

/** A request whose meaning is clear; not yet whether it is allowed. */
export type Request =
  | { readonly kind: "handshake"; readonly version: number }
  | { readonly kind: "auth"; readonly key: string }
  | {
    readonly kind: "event";
    readonly name: string;
    readonly payload: Uint8Array;
    readonly coalesce: boolean;
  }
  | {
    readonly kind: "forceLeave";
    readonly node: string;
    readonly prune: boolean;
  }
  | {
    readonly kind: "join";
    readonly addresses: readonly string[];
    readonly replay: boolean;
  }
  | { readonly kind: "members" }
  | { readonly kind: "membersFiltered"; readonly filter: MemberFilter }
  | { readonly kind: "stream"; readonly filter: string }
  | { readonly kind: "monitor"; readonly level: string }
  | { readonly kind: "stop"; readonly seq: bigint }
  | { readonly kind: "leave" }
  | { readonly kind: "query"; readonly query: RpcQuery }
  | {
    readonly kind: "respond";
    /** As the record of the query had it. */
    readonly id: bigint;
    readonly payload: Uint8Array;
  }
  | { readonly kind: "changeKeys"; readonly request: RpcKeyRequest }
  | { readonly kind: "tags"; readonly changes: TagChanges }
  | { readonly kind: "stats" }
  | { readonly kind: "metrics" }
  | { readonly kind: "getCoordinate"; readonly node: string };

/** What follows the header of a command, and what it says. */
export type CommandFormat =
  | { readonly hasBody: false; readonly request: Request }
  | {
    readonly hasBody: true;
    /** Go's order of the fields, for bodies that are sent as arrays. */
    readonly layout: Layout;
    /** @throws {WireError} when a field is of the wrong type */
    read(body: Struct): Request;
  };

const RELAY_FACTOR_MAX = 255;

const COMMANDS: ReadonlyMap<string, CommandFormat> = new Map<
  string,
  CommandFormat
>([
  ["handshake", {
    hasBody: true,
    layout: ["Version"],
    read: (body) => ({
      kind: "handshake",
      version: readInt32(body, "Version"),
    }),
  }],
  ["auth", {
    hasBody: true,
    layout: ["AuthKey"],
    read: (body) => ({ kind: "auth", key: body.text("AuthKey") }),
  }],
  ["event", {
    hasBody: true,
    layout: ["Name", "Payload", "Coalesce"],
    read: (body) => ({
      kind: "event",
      name: body.text("Name"),
      payload: body.bytes("Payload"),
      coalesce: body.bool("Coalesce"),
    }),
  }],
  ["force-leave", {
    hasBody: true,
    layout: ["Node", "Prune"],
    read: (body) => ({
      kind: "forceLeave",
      node: body.text("Node"),
      prune: body.bool("Prune"),
    }),
  }],
  ["join", {
    hasBody: true,
    layout: ["Existing", "Replay"],
    read: (body) => ({
      kind: "join",
      addresses: body.texts("Existing"),
      replay: body.bool("Replay"),
    }),
  }],
  ["members", { hasBody: false, request: { kind: "members" } }],
  ["members-filtered", {
    hasBody: true,
    layout: ["Tags", "Status", "Name"],
    read: (body) => ({
      kind: "membersFiltered",
      filter: {
        tags: body.textMap("Tags"),
        status: body.text("Status"),
        name: body.text("Name"),
      },
    }),
  }],
  ["stream", {
    hasBody: true,
    layout: ["Type"],
    read: (body) => ({ kind: "stream", filter: body.text("Type") }),
  }],
  ["monitor", {
    hasBody: true,
    layout: ["LogLevel"],
    read: (body) => ({ kind: "monitor", level: body.text("LogLevel") }),
  }],
  ["stop", {
    hasBody: true,
    layout: ["Stop"],
    read: (body) => ({ kind: "stop", seq: body.uint64("Stop") }),
  }],
  ["query", {
    hasBody: true,
    layout: [
      "FilterNodes",
      "FilterTags",
      "RequestAck",
      "RelayFactor",
      "Timeout",
      "Name",
      "Payload",
    ],
    read: (body) => ({
      kind: "query",
      query: {
        name: body.text("Name"),
        payload: body.bytes("Payload"),
        filterNodes: body.texts("FilterNodes"),
        filterTags: body.textMap("FilterTags"),
        requestAck: body.bool("RequestAck"),
        relayFactor: body.uint("RelayFactor", RELAY_FACTOR_MAX),
        timeoutMs: millisecondsOf(body.int64("Timeout")),
      },
    }),
  }],
  ["respond", {
    hasBody: true,
    layout: ["ID", "Payload"],
    read: (body) => ({
      kind: "respond",
      id: body.uint64("ID"),
      payload: body.bytes("Payload"),
    }),
  }],
  ["install-key", keyFormat("install")],
  ["use-key", keyFormat("use")],
  ["remove-key", keyFormat("remove")],
  ["list-keys", {
    hasBody: false,
    request: { kind: "changeKeys", request: { kind: "list" } },
  }],
  ["tags", {
    hasBody: true,
    layout: ["Tags", "DeleteTags"],
    read: (body) => ({
      kind: "tags",
      changes: {
        set: body.textMap("Tags"),
        delete: body.texts("DeleteTags"),
      },
    }),
  }],
  ["leave", { hasBody: false, request: { kind: "leave" } }],
  ["stats", { hasBody: false, request: { kind: "stats" } }],
  // Ours alone; the original says that it is unsupported.
  ["metrics", { hasBody: false, request: { kind: "metrics" } }],
  ["get-coordinate", {
    hasBody: true,
    layout: ["Node"],
    read: (body) => ({ kind: "getCoordinate", node: body.text("Node") }),
  }],
]);

/** The form of a command, `undefined` when there is no such command. */
export function commandFormat(command: string): CommandFormat | undefined {
  return COMMANDS.get(command);
}

/** What a request begins with. */
export interface RequestHeader {
  readonly command: string;
  /** Chosen by the client, echoed in every answer; unsigned 64 bits. */
  readonly seq: bigint;
}

/**
 * The header in `bytes`.
 *
 * A field that is missing keeps the value of the header before: the original
 * decodes all headers of a connection into one variable.
 *
 * @throws {WireError} when it is none
 */
export function decodeRequestHeader(
  bytes: Uint8Array,
  previous: RequestHeader,
): RequestHeader {
  const header = Struct.decode(bytes, ["Command", "Seq"], 0, REQUEST_LIMITS);
  return {
    command: header.has("Command") ? header.text("Command") : previous.command,
    seq: header.has("Seq") ? header.uint64("Seq") : previous.seq,
  };
}

/**
 * The request of a command and the body that followed.
 *
 * @throws {WireError} when the body does not fit the command
 */
export function decodeRequestBody(
  format: CommandFormat & { readonly hasBody: true },
  bytes: Uint8Array,
): Request {
  return format.read(Struct.decode(bytes, format.layout, 0, REQUEST_LIMITS));
}

/** Form of the commands whose body is a key. */
function keyFormat(kind: "install" | "use" | "remove"): CommandFormat {
  return {
    hasBody: true,
    layout: ["Key"],
    read: (body) => ({
      kind: "changeKeys",
      request: { kind, key: body.text("Key") },
    }),
  };
}

function readInt32(body: Struct, name: string): number {
  const value = body.int64(name);
  if (value !== BigInt.asIntN(32, value)) {
    throw new WireError(
      "badValue",
      `msgpack decode error: ${name} overflows int32`,
    );
  }
  return Number(value);
}
