import assert from "node:assert/strict";
import fc from "fast-check";
import {
  bytesOfHex,
  concatBytes,
  EMPTY_BYTES,
  equalBytes,
  hexOf,
  utf8Bytes,
} from "../../lib/kit/bytes.ts";
import { encodeCompound } from "../../lib/wire/compound.ts";
import { compress } from "../../lib/wire/compress.ts";
import { crc32 } from "../../lib/wire/crc32.ts";
import { decodeMessage, encodeMessage } from "../../lib/wire/message_codec.ts";
import { PacketCodec } from "../../lib/wire/packet.ts";
import { WireError } from "../../lib/wire/wire_error.ts";
import {
  bytesIn,
  codecConfig,
  comparable,
  configOf,
  goFields,
  type Vector,
  vectorsOf,
} from "./vectors.ts";

const KEY = bytesOfHex("766021eeaa3181c808ef44abc86e2c96");

/** What the log says of a packet, as far as its bytes alone decide. */
function refusals(codec: PacketCodec, packet: Uint8Array): string[] {
  const lines: string[] = [];
  const note = (run: () => void) => {
    try {
      run();
    } catch (error) {
      assert.ok(error instanceof WireError, String(error));
      lines.push(error.detail);
    }
  };
  note(() => {
    const { parts, errors } = codec.open(packet);
    lines.push(...errors.map(({ detail }) => detail));
    for (const part of parts) note(() => decodeMessage(part));
  });
  return lines;
}

Deno.test("PacketCodec.seal() writes the packets that memberlist writes", () => {
  for (const vector of vectorsOf("pipeline", 4)) {
    const codec = new PacketCodec({
      ...configOf(vector),
      compression: true,
      protocolVersion: (vector["local_protocol_version"] ?? 2) as number,
    });
    const crc = !vector.name.includes("not-smaller");
    const message = bytesIn(vector, "message_hex");
    assert.equal(hexOf(codec.seal(message, { crc })), vector.hex, vector.name);
    const { parts, errors } = codec.open(bytesIn(vector, "hex"));
    assert.deepEqual(parts.map(hexOf), [hexOf(message)], vector.name);
    assert.deepEqual(errors, []);
  }
});

Deno.test("PacketCodec wraps messages in a checksum as memberlist does", () => {
  const codec = new PacketCodec(codecConfig());
  const isWrapped = ({ hex }: Vector) => hex !== undefined;
  for (const vector of vectorsOf("crc", 4, isWrapped)) {
    const payload = bytesIn(vector, "payload_hex");
    assert.equal(
      hexOf(codec.seal(payload, { crc: true })),
      vector.hex,
      vector.name,
    );
    const { parts } = codec.open(bytesIn(vector, "hex"));
    const expected = payload[0] === 7 ? 2 : 1;
    assert.equal(parts.length, expected, vector.name);
  }
});

/** How a captured packet was made, from the outside in. */
interface Layer {
  readonly kind: string;
  readonly inner?: Layer;
  readonly parts?: readonly Layer[];
  readonly fields?: unknown;
  readonly payload_hex?: string;
}

function isCapturedPacket({ name }: Vector): boolean {
  return name.startsWith("capture-udp-");
}

function leavesOf(layer: Layer): Layer[] {
  if (layer.inner !== undefined) return leavesOf(layer.inner);
  return layer.parts === undefined ? [layer] : layer.parts.flatMap(leavesOf);
}

function fieldsOfLeaf(leaf: Layer): unknown {
  return comparable(leaf.fields ?? { Body: { bytes_hex: leaf.payload_hex } });
}

Deno.test("PacketCodec.open() reads captured packets", () => {
  for (const vector of vectorsOf("capture", 33, isCapturedPacket)) {
    const { parts, errors } = new PacketCodec(configOf(vector)).open(
      bytesIn(vector, "hex"),
    );
    assert.deepEqual(errors, [], vector.name);
    const leaves = leavesOf(vector["decoded"] as Layer);
    assert.deepEqual(
      parts.map((part) => comparable(goFields(decodeMessage(part)))),
      leaves.map(fieldsOfLeaf),
      vector.name,
    );
  }
});

Deno.test("PacketCodec.seal() rebuilds captured packets to the byte", () => {
  for (const vector of vectorsOf("capture", 33, isCapturedPacket)) {
    const packet = bytesIn(vector, "hex");
    const codec = new PacketCodec({
      ...configOf(vector),
      compression: !vector.name.includes("nocomp"),
      nextNonce: () => packet.subarray(1, 13),
    });
    const outer = vector["decoded"] as Layer;
    const content = outer.inner ?? outer;
    const parts = codec.open(packet).parts.map((part) =>
      encodeMessage(decodeMessage(part))
    );
    const message = content.kind === "compound"
      ? encodeCompound(parts)
      : parts[0] as Uint8Array;
    const crc = outer.kind === "hasCrc";
    assert.equal(hexOf(codec.seal(message, { crc })), vector.hex, vector.name);
  }
});

/** These decode; what memberlist says of them is about its members. */
const ABOUT_MEMBERS =
  /other-node|alive-vsn|name-conflict|suspect-self|dead-self/;

/** Its key was not recorded, so it is made anew under ours. */
const EMPTY_PLAINTEXT = "badpacket-enc-empty-plaintext-v1";

Deno.test("PacketCodec.open() and decodeMessage() refuse bad packets in memberlist's words", () => {
  for (const vector of vectorsOf("badpacket", 54)) {
    const codec = new PacketCodec(codecConfig({
      label: vector.name.includes("-labelled-") ? "lab" : "",
      ...(vector.name.includes("-enc-") ? { keys: [KEY] } : {}),
    }));
    const lines = ABOUT_MEMBERS.test(vector.name)
      ? []
      : vector["log_new"] as string[];
    const expected = lines.map((line) =>
      line.replace(/^\[\w+\] memberlist: /, "").replace(/ from=.*$/, "")
    );
    const packet = vector.name === EMPTY_PLAINTEXT
      ? codec.seal(EMPTY_BYTES, { crc: false })
      : bytesIn(vector, "hex");
    assert.deepEqual(refusals(codec, packet), expected, vector.name);
  }
});

Deno.test("PacketCodec.open() refuses an empty packet", () => {
  const codec = new PacketCodec(codecConfig());
  assert.deepEqual(refusals(codec, new Uint8Array(0)), [
    "UDP packet too short (65536 bytes)",
  ]);
});

Deno.test("PacketCodec.open() takes plaintext beside keys only when told so", () => {
  const packet = Uint8Array.of(8, 1, 2);
  const lenient = new PacketCodec(
    codecConfig({ keys: [KEY], verifyIncoming: false }),
  );
  assert.deepEqual(lenient.open(packet).parts, [packet]);
  const strict = new PacketCodec(codecConfig({ keys: [KEY] }));
  assert.throws(() => strict.open(packet), WireError);
});

Deno.test("PacketCodec.seal() sends plaintext while encryption is being introduced", () => {
  const codec = new PacketCodec(
    codecConfig({ keys: [KEY], verifyOutgoing: false }),
  );
  assert.equal(hexOf(codec.seal(Uint8Array.of(8, 1), { crc: false })), "0801");
});

Deno.test("PacketCodec.open() gives back what seal() was given", () => {
  const configs = fc.record({
    label: fc.constantFrom("", "dc1"),
    keyBytes: fc.constantFrom(0, 16, 24, 32),
    compression: fc.boolean(),
    protocolVersion: fc.constantFrom(1, 2, 5),
  });
  const bodies = fc.uint8Array({ maxLength: 600 });
  fc.assert(fc.property(configs, bodies, fc.boolean(), (config, body, crc) => {
    const { keyBytes, ...rest } = config;
    const keys = keyBytes === 0
      ? {}
      : { keys: [new Uint8Array(keyBytes).fill(9)] };
    const codec = new PacketCodec(codecConfig({ ...rest, ...keys }));
    const message = concatBytes([Uint8Array.of(8), body]);
    const { parts, errors } = codec.open(codec.seal(message, { crc }));
    assert.deepEqual(parts.map(hexOf), [hexOf(message)]);
    assert.deepEqual(errors, []);
  }));
});

Deno.test("PacketCodec.open() copies no part of a plain packet", () => {
  const packet = encodeCompound([Uint8Array.of(8, 1), Uint8Array.of(8, 2)]);
  for (const part of new PacketCodec(codecConfig()).open(packet).parts) {
    assert.equal(part.buffer, packet.buffer);
  }
});

/** Applies a layer so many times. */
function nest(
  message: Uint8Array,
  times: number,
  wrap: (message: Uint8Array) => Uint8Array,
): Uint8Array {
  return times === 0 ? message : nest(wrap(message), times - 1, wrap);
}

Deno.test("PacketCodec.open() goes two compressions and four compounds deep", () => {
  const codec = new PacketCodec(codecConfig());
  const message = Uint8Array.of(8, 1);
  const compound = (inner: Uint8Array) => encodeCompound([inner]);
  for (const [wrap, limit] of [[compress, 2], [compound, 4]] as const) {
    assert.deepEqual(codec.open(nest(message, limit, wrap)).parts.map(hexOf), [
      "0801",
    ]);
    const { parts, errors } = codec.open(nest(message, limit + 1, wrap));
    assert.deepEqual(parts, []);
    assert.match(errors[0]?.detail ?? "", /nested too deeply/);
  }
});

Deno.test("PacketCodec.open() decompresses to 65,536 bytes and no further", () => {
  const codec = new PacketCodec(codecConfig());
  const message = new Uint8Array(65_536).fill(8);
  assert.ok(
    equalBytes(codec.open(compress(message)).parts[0] as Uint8Array, message),
  );
  const { parts, errors } = codec.open(
    compress(new Uint8Array(65_537).fill(8)),
  );
  assert.deepEqual(parts, []);
  assert.equal(errors[0]?.code, "oversized");
});

Deno.test("PacketCodec.open() spends a bounded amount on a packet of bombs", () => {
  const bomb = compress(new Uint8Array(65_536).fill(8));
  const packet = encodeCompound(new Array<Uint8Array>(100).fill(bomb));
  const { parts, errors } = new PacketCodec(codecConfig()).open(packet);
  const total = parts.reduce((sum, part) => sum + part.length, 0);
  assert.equal(total, 2 * 65_536);
  assert.equal(errors.length, 98);
});

Deno.test("PacketCodec.open() takes at most 1,024 messages from a packet", () => {
  // Compounds of 255 empty parts: two bytes make a refusal.
  const empties = Uint8Array.of(7, 255, ...new Uint8Array(510));
  const packet = encodeCompound(new Array<Uint8Array>(10).fill(empties));
  const { parts, errors } = new PacketCodec(codecConfig()).open(packet);
  assert.equal(parts.length, 0);
  assert.equal(errors.length, 1_025);
  assert.equal(errors.at(-1)?.detail, "packet holds more than 1024 messages");
});

Deno.test("PacketCodec leaves the room that its layers take", () => {
  const room = (given: Parameters<typeof codecConfig>[0]) => {
    const codec = new PacketCodec(codecConfig(given));
    return [codec.piggybackRoomBytes(100, 1_400), codec.gossipRoomBytes(1_400)];
  };
  assert.deepEqual(room({}), [1_298, 1_398]);
  assert.deepEqual(room({ label: "dc1" }), [1_293, 1_393]);
  assert.deepEqual(room({ keys: [KEY] }), [1_269, 1_369]);
  assert.deepEqual(room({ keys: [KEY], protocolVersion: 1 }), [1_253, 1_353]);
  assert.deepEqual(room({ keys: [KEY], verifyOutgoing: false }), [
    1_298,
    1_369,
  ]);
  assert.deepEqual(room({ keys: [] }), [1_298, 1_398]);
});

Deno.test("PacketCodec.open() refuses a checksum that does not fit", () => {
  const codec = new PacketCodec(codecConfig());
  const packet = codec.seal(utf8Bytes("\bhello"), { crc: true });
  packet[7] = (packet[7] as number) ^ 1;
  const computed = crc32(packet.subarray(5)).toString(16);
  const received = new DataView(packet.buffer).getUint32(1).toString(16);
  assert.throws(() => codec.open(packet), {
    code: "badChecksum",
    detail: `Got invalid checksum for UDP packet: ${computed}, ${received}`,
  });
});
