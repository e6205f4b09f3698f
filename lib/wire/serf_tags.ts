/**
 * Tags as the meta of a node, and the filters of a query that ask for them.
 *
 * From protocol 3 on meta is the byte ff and a map from text to text. Protocol 2
 * knew one tag only: there, meta is the value of `role` and nothing else. Which
 * of the two a meta is shows in its first byte.
 *
 * Source: serf `serf.go` (`encodeTags`, `decodeTags`) and `query.go`.
 */

import { unreachable } from "../kit/assert.ts";
import { utf8Bytes, utf8Text } from "../kit/bytes.ts";
import {
  decodeTextList,
  decodeTextMap,
  type Layout,
  Struct,
} from "./msgpack.ts";
import { MsgpackWriter } from "./msgpack_writer.ts";
import { decodeText } from "./text.ts";
import { decodeAs, WireError } from "./wire_error.ts";

/** First byte of a meta that holds a map. */
const TAGS_MAGIC = 0xff;
/** First protocol with more tags than `role`. */
const TAGS_PROTOCOL = 3;
const ROLE = "role";

const FilterType = { node: 0, tag: 1 } as const;
const TAG_FILTER: Layout = ["Tag", "Expr"];

const writer = new MsgpackWriter();

/**
 * The meta that announces these tags; how long it may be is not checked here.
 *
 * @param protocolVersion Serf's; below 3 only `role` is announced
 */
export function encodeTags(
  tags: ReadonlyMap<string, string>,
  protocolVersion: number,
): Uint8Array {
  if (protocolVersion < TAGS_PROTOCOL) return utf8Bytes(tags.get(ROLE) ?? "");
  writer.begin().byte(TAGS_MAGIC).map(tags.size);
  for (const [name, value] of tags) writer.text(name).text(value);
  return writer.finish();
}

/**
 * The tags that a meta announces.
 *
 * A map that breaks off still yields the tags before the break, beside the error,
 * as Serf has it. An empty meta is an empty `role`.
 */
export function decodeTags(
  meta: Uint8Array,
): { tags: Map<string, string>; error?: WireError } {
  if (meta[0] !== TAGS_MAGIC) {
    return { tags: new Map([[ROLE, decodeText(meta) ?? utf8Text(meta)]]) };
  }
  const { entries, error } = decodeTextMap(meta.subarray(1));
  if (error === undefined) return { tags: entries };
  const detail = `Failed to decode tags: ${error.detail}`;
  return {
    tags: entries,
    error: new WireError(error.code, detail, { cause: error }),
  };
}

/** Who should answer a query. */
export type Filter =
  | {
    /** Only these members. */
    readonly kind: "node";
    readonly nodes: readonly string[];
  }
  | {
    /** Only members whose value of `tag` matches a regular expression of RE2. */
    readonly kind: "tag";
    readonly tag: string;
    readonly expr: string;
  };

/** One element of a query's filters. */
export function encodeFilter(filter: Filter): Uint8Array {
  switch (filter.kind) {
    case "node":
      writer.begin().byte(FilterType.node).array(filter.nodes.length);
      for (const node of filter.nodes) writer.text(node);
      return writer.finish();
    case "tag":
      return writer.begin().byte(FilterType.tag).map(2)
        .text("Expr").text(filter.expr)
        .text("Tag").text(filter.tag)
        .finish();
    default:
      return unreachable(filter);
  }
}

/**
 * Decodes one element of a query's filters.
 *
 * @throws {WireError} worded as Serf's log has it; such a filter matches nobody
 */
export function decodeFilter(bytes: Uint8Array): Filter {
  const type = bytes[0];
  switch (type) {
    case FilterType.node:
      return decodeAs(
        "failed to decode filterNodeType",
        decodeNodeFilter,
        bytes,
      );
    case FilterType.tag:
      return decodeAs("failed to decode filterTagType", decodeTagFilter, bytes);
    case undefined:
      throw new WireError("empty", "query has an empty filter");
    default:
      throw new WireError(
        "badType",
        `query has unrecognized filter type: ${type}`,
      );
  }
}

function decodeNodeFilter(bytes: Uint8Array): Filter {
  return { kind: "node", nodes: decodeTextList(bytes.subarray(1)) };
}

function decodeTagFilter(bytes: Uint8Array): Filter {
  const struct = Struct.decode(bytes, TAG_FILTER, 1);
  return { kind: "tag", tag: struct.text("Tag"), expr: struct.text("Expr") };
}
