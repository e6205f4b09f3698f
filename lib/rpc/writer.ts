/**
 * Writes msgpack as RPC wants it.
 *
 * Gossip writes texts and byte strings alike, in the form that old decoders
 * know; RPC tells them apart, with `str8` for texts of 32 to 255 bytes and `bin`
 * for byte strings. Everything else is the same.
 *
 * Source: go-msgpack with `WriteExt`, as serf's `ipc.go` and `rpc_client.go`
 * set it up.
 */

import { MsgpackWriter } from "../wire/msgpack_writer.ts";

export class RpcWriter extends MsgpackWriter {
  protected override longText(value: Uint8Array): this {
    const length = value.length;
    if (length < 32 || length >= 0x100) return this.raw(value);
    return this.byte(0xd9).byte(length).append(value);
  }

  override bytes(value: Uint8Array): this {
    const length = value.length;
    if (length < 0x100) this.byte(0xc4).byte(length);
    else if (length < 0x1_0000) {
      this.byte(0xc5).byte(length >> 8).byte(length & 0xff);
    } else {
      this.byte(0xc6).byte(length >>> 24).byte((length >> 16) & 0xff)
        .byte((length >> 8) & 0xff).byte(length & 0xff);
    }
    return this.append(value);
  }

  /** A map from text to text, or nil when there is none. */
  textMap(map: ReadonlyMap<string, string> | undefined): this {
    if (map === undefined) return this.nil();
    this.map(map.size);
    for (const [key, value] of map) this.text(key).text(value);
    return this;
  }

  /** A list of texts. */
  texts(list: readonly string[]): this {
    this.array(list.length);
    for (const text of list) this.text(text);
    return this;
  }
}
