import assert from "node:assert/strict";
import fc from "fast-check";
import { bytesOfHex, concatBytes, hexOf } from "../../lib/kit/bytes.ts";
import type { CodecConfig } from "../../lib/wire/codec_config.ts";
import type { StreamMessage } from "../../lib/wire/messages.ts";
import {
  encodeStreamMessage,
  sealStream,
  StreamError,
  StreamReader,
  type StreamRole,
} from "../../lib/wire/stream_frame.ts";
import { streamMessages, streamReplies } from "./arbitraries.ts";
import {
  bytesIn,
  codecConfig,
  comparable,
  configOf,
  goFields,
  type Vector,
  vectorsOf,
  withTrailing,
} from "./vectors.ts";

const KEY = bytesOfHex("766021eeaa3181c808ef44abc86e2c96");

/** How a stream went: its message, or why it was refused, or neither. */
interface Outcome {
  readonly message?: StreamMessage;
  readonly error?: StreamError;
}

/** Feeds a stream in pieces, then its end. */
function readPieces(
  pieces: readonly Uint8Array[],
  config: CodecConfig,
  role: StreamRole,
): Outcome {
  const reader = new StreamReader(config, role);
  let message: StreamMessage | undefined;
  try {
    for (const piece of pieces) {
      const buffer = piece.slice();
      const found = reader.push(buffer);
      if (found !== undefined) message = structuredClone(found);
      // What was not needed for the message must have been copied.
      buffer.fill(0xee);
    }
    reader.end();
  } catch (error) {
    assert.ok(error instanceof StreamError, String(error));
    return { error };
  }
  return message === undefined ? {} : { message };
}

function singleBytes(bytes: Uint8Array): Uint8Array[] {
  return Array.from(bytes, (byte) => Uint8Array.of(byte));
}

/** Whole, byte by byte, and with bytes behind it: all must come to the same. */
function readThreeWays(
  bytes: Uint8Array,
  config: CodecConfig,
  role: StreamRole,
): Outcome {
  const whole = readPieces([bytes], config, role);
  const slow = readPieces(singleBytes(bytes), config, role);
  assert.deepEqual(slow.message, whole.message);
  assert.equal(slow.error?.detail, whole.error?.detail);
  assert.equal(slow.error?.answer, whole.error?.answer);
  if (whole.message !== undefined) {
    const trailing = withTrailing(bytes);
    assert.deepEqual(readPieces([trailing], config, role), whole);
    assert.deepEqual(readPieces(singleBytes(trailing), config, role), whole);
  }
  return whole;
}

/** Dialers put the label in front; all other vectors have none. */
function hasLabel(bytes: Uint8Array): boolean {
  return bytes[0] === 0xf4;
}

function messageOfVector(vector: Vector, config: CodecConfig): StreamMessage {
  const bytes = bytesIn(vector, "hex");
  const role = hasLabel(bytes) || config.label === "" ? "accepting" : "dialing";
  const isReply = /ack|reply|refused/.test(vector.name);
  const { message, error } = readThreeWays(
    bytes,
    config,
    isReply ? "dialing" : role,
  );
  assert.ok(message !== undefined, `${vector.name}: ${error?.detail}`);
  return message;
}

Deno.test("StreamReader reads what memberlist wrote", () => {
  for (const vector of vectorsOf("stream", 25)) {
    const message = messageOfVector(vector, configOf(vector));
    const fields = comparable(goFields(message));
    if (vector["body_hex"] !== undefined) {
      assert.deepEqual(fields, { Body: vector["body_hex"] }, vector.name);
    } else if (vector["decoded"] !== undefined) {
      assert.deepEqual(fields, comparable(vector["decoded"]), vector.name);
    } else {
      const { SeqNo } = fields as { SeqNo: number };
      assert.equal(SeqNo, 1, vector.name);
    }
  }
});

Deno.test("sealStream() writes the bytes that memberlist writes", () => {
  // The newer generation writes lengths in another form.
  const isOurs = ({ name }: Vector) =>
    !name.endsWith("@new") || /empty|one|user-5/.test(name);
  for (const vector of vectorsOf("stream", 22, isOurs)) {
    const bytes = bytesIn(vector, "hex");
    const config = {
      ...configOf(vector),
      compression: vector.name.includes("compressed"),
      protocolVersion: vector["version"] === "0" || vector["version"] === 0
        ? 1
        : 2,
    };
    const message = messageOfVector(vector, config);
    const role = hasLabel(bytes) ? "dialing" : "accepting";
    const sealed = sealStream(encodeStreamMessage(message), config, role);
    assert.equal(hexOf(sealed), vector.hex, vector.name);
  }
});

interface Captured {
  readonly inner?: Captured;
  readonly fields?: unknown;
  readonly header?: unknown;
  readonly nodes?: unknown;
  readonly user_state_hex?: string;
}

function isCapturedStream({ name }: Vector): boolean {
  return !name.startsWith("capture-udp-");
}

/** What a capture holds, in the form of `goFields`. */
function fieldsOfCapture(capture: Captured): unknown {
  if (capture.inner !== undefined) return fieldsOfCapture(capture.inner);
  if (capture.fields !== undefined) return capture.fields;
  return {
    header: capture.header,
    nodes: capture.nodes,
    user_state: { bytes_hex: capture.user_state_hex ?? "" },
  };
}

Deno.test("StreamReader reads captured streams", () => {
  for (const vector of vectorsOf("capture", 17, isCapturedStream)) {
    const message = messageOfVector(vector, configOf(vector));
    const expected = comparable(fieldsOfCapture(vector["decoded"] as Captured));
    assert.deepEqual(comparable(goFields(message)), expected, vector.name);
  }
});

Deno.test("sealStream() rebuilds captured streams to the byte", () => {
  for (const vector of vectorsOf("capture", 17, isCapturedStream)) {
    // Written by the newer generation, whose lengths have another form.
    if (vector.name.includes("newest")) continue;
    const bytes = bytesIn(vector, "hex");
    const config = {
      ...configOf(vector),
      compression: !vector.name.includes("nocomp"),
      nextNonce: () => bytes.subarray(6, 18),
    };
    const body = encodeStreamMessage(messageOfVector(vector, config));
    assert.equal(
      hexOf(sealStream(body, config, "accepting")),
      vector.hex,
      vector.name,
    );
  }
});

Deno.test("StreamReader reads what was sent to the captured agents", () => {
  const wasSent = (vector: Vector) =>
    vector["sent"] !== undefined && !vector.name.includes("refused");
  for (const vector of vectorsOf("capture", 10, wasSent)) {
    const { message } = readThreeWays(
      bytesIn(vector, "sent"),
      configOf(vector),
      "accepting",
    );
    assert.ok(
      message?.kind === "ping" || message?.kind === "pushPull",
      vector.name,
    );
  }
});

Deno.test("StreamReader refuses bad streams in memberlist's words, and says what is owed", () => {
  for (const vector of vectorsOf("badstream", 31)) {
    const config = codecConfig({
      compression: true,
      label: vector.name.includes("-labelled-") ? "lab" : "",
      ...(vector.name.includes("-enc-") ? { keys: [KEY] } : {}),
    });
    const { message, error } = readThreeWays(
      bytesIn(vector, "hex"),
      config,
      "accepting",
    );
    const refusals = (vector["log_new"] as string[])
      .filter((line) => !line.includes("Stream connection"))
      .map((line) =>
        line.replace(/^\[\w+\] memberlist: /, "").replace(/ from=.*$/, "")
      );
    if (/^Failed push\/pull merge|^Got ping for/.test(refusals[0] ?? "")) {
      assert.ok(message !== undefined, vector.name);
      continue;
    }
    assert.deepEqual(
      error === undefined ? [] : [error.detail],
      refusals,
      vector.name,
    );
    const answer = error?.answer
      ? sealStream(
        encodeStreamMessage({ kind: "error", text: error.reason }),
        config,
        "accepting",
      )
      : new Uint8Array(0);
    if (vector["answer_new_hex"] === undefined) {
      // Encrypted under a fresh nonce: that there is an answer is all that is known.
      const isOwed = refusals[0]?.startsWith("failed to receive:") ?? false;
      assert.equal(answer.length > 0, isOwed, vector.name);
    } else if (message === undefined) {
      assert.equal(hexOf(answer), vector["answer_new_hex"], vector.name);
    }
  }
});

const configs = fc.record({
  label: fc.constantFrom("", "dc1"),
  keyBytes: fc.constantFrom(0, 16, 24, 32),
  compression: fc.boolean(),
  protocolVersion: fc.constantFrom(1, 2),
}).map(({ keyBytes, ...rest }) =>
  codecConfig({
    ...rest,
    ...(keyBytes === 0 ? {} : { keys: [new Uint8Array(keyBytes).fill(5)] }),
  })
);

/** Cuts bytes at given fractions of their length. */
function cut(bytes: Uint8Array, fractions: readonly number[]): Uint8Array[] {
  const places = fractions.map((fraction) =>
    Math.floor(fraction * bytes.length)
  ).sort((
    a,
    b,
  ) => a - b);
  const bounds = [0, ...places, bytes.length];
  return bounds.slice(1).map((end, i) => bytes.subarray(bounds[i], end));
}

Deno.test("StreamReader gives back what sealStream() was given, however it is cut", () => {
  const cuts = fc.array(fc.double({ min: 0, max: 1, noNaN: true }), {
    maxLength: 8,
  });
  fc.assert(
    fc.property(configs, streamMessages, cuts, (config, message, fractions) => {
      const bytes = sealStream(encodeStreamMessage(message), config, "dialing");
      assert.deepEqual(readPieces(cut(bytes, fractions), config, "accepting"), {
        message,
      });
    }),
  );
  fc.assert(
    fc.property(configs, streamReplies, cuts, (config, message, fractions) => {
      const bytes = sealStream(
        encodeStreamMessage(message),
        config,
        "accepting",
      );
      assert.deepEqual(readPieces(cut(bytes, fractions), config, "dialing"), {
        message,
      });
    }),
  );
});

Deno.test("StreamReader does not take an early end for a message", () => {
  const message: StreamMessage = {
    kind: "pushPull",
    join: true,
    states: [],
    userState: new Uint8Array(40),
  };
  for (const compression of [false, true]) {
    const config = codecConfig({ compression });
    const bytes = sealStream(encodeStreamMessage(message), config, "accepting");
    for (let length = 0; length < bytes.length; length++) {
      const { error, ...rest } = readPieces(
        [bytes.subarray(0, length)],
        config,
        "dialing",
      );
      assert.match(error?.detail ?? "", /^(unexpected )?EOF$/, `at ${length}`);
      assert.deepEqual(rest, {});
    }
  }
});

Deno.test("StreamReader is silent about an end within the outer layers", () => {
  const body = encodeStreamMessage({ kind: "user", body: new Uint8Array(30) });
  const plain = sealStream(body, codecConfig({ compression: true }), "dialing");
  const config = codecConfig({ keys: [KEY] });
  const sealed = sealStream(body, config, "dialing");
  for (let length = 0; length < plain.length; length++) {
    assert.deepEqual(
      readPieces([plain.subarray(0, length)], codecConfig(), "accepting"),
      {},
    );
  }
  for (let length = 0; length < sealed.length; length++) {
    assert.deepEqual(
      readPieces([sealed.subarray(0, length)], config, "accepting"),
      {},
    );
  }
});

Deno.test("StreamReader says where a body ended early", () => {
  const refusal = (hex: string) =>
    readPieces([bytesOfHex(hex)], codecConfig(), "accepting").error;
  const userMessage = "0881aa557365724d73674c656e05";
  assert.equal(
    refusal(userMessage)?.detail,
    "Failed to receive user message: EOF",
  );
  assert.equal(
    refusal(`${userMessage}01`)?.detail,
    "Failed to receive user message: unexpected EOF",
  );
  assert.equal(refusal("06")?.answer, false);
});

Deno.test("StreamReader as the dialing side words refusals without the acceptor's prefix", () => {
  const refusal = (hex: string, config = codecConfig()) =>
    readPieces([bytesOfHex(hex)], config, "dialing").error;
  assert.equal(refusal("03")?.detail, "received invalid msgType (3)");
  const noKey = refusal("0a00000032");
  assert.equal(
    noKey?.detail,
    "remote state is encrypted and encryption is not configured",
  );
  assert.equal(noKey?.answer, false);
});

Deno.test("StreamReader refuses a second layer of any kind", () => {
  const config = codecConfig({ compression: true, keys: [KEY] });
  const ping = bytesOfHex("0080");
  const compressed = sealStream(
    ping,
    codecConfig({ compression: true }),
    "dialing",
  );
  const twice = sealStream(compressed, config, "dialing");
  assert.equal(
    readPieces([twice], config, "accepting").error?.detail,
    "Received invalid msgType (9)",
  );
  const sealed = sealStream(ping, codecConfig({ keys: [KEY] }), "dialing");
  assert.equal(
    readPieces([sealStream(sealed, config, "dialing")], config, "accepting")
      .error
      ?.detail,
    "Received invalid msgType (10)",
  );
});

Deno.test("StreamReader refuses layers with nothing in them", () => {
  const nothing = new Uint8Array(0);
  const sealed = sealStream(nothing, codecConfig({ keys: [KEY] }), "dialing");
  assert.equal(
    readPieces([sealed], codecConfig({ keys: [KEY] }), "accepting").error
      ?.reason,
    "missing message type byte",
  );
  const compressed = sealStream(
    nothing,
    codecConfig({ compression: true }),
    "dialing",
  );
  assert.equal(
    readPieces([compressed], codecConfig(), "accepting").error?.reason,
    "decompressed message is empty",
  );
});

Deno.test("StreamReader refuses announced lengths beyond the limit before they arrive", () => {
  // A compress message whose buffer claims 4 GiB; a frame of 20 MiB and a byte.
  const compressed = bytesOfHex("0982a4416c676f00a3427566dbffffffff");
  assert.equal(
    readPieces([compressed], codecConfig(), "accepting").error?.code,
    "oversized",
  );
  const frame = bytesOfHex("0a01400001");
  const config = codecConfig({ keys: [KEY] });
  assert.equal(
    readPieces([frame], config, "accepting").error?.code,
    "oversized",
  );
});

Deno.test("StreamReader refuses what decompresses to more than 40 MiB", () => {
  const config = codecConfig({ compression: true });
  const bomb = sealStream(new Uint8Array(41_943_041), config, "dialing");
  assert.ok(bomb.length < 100_000);
  assert.equal(
    readPieces([bomb], config, "accepting").error?.reason,
    "decompressed message is larger than limit (41943040)",
  );
});

Deno.test("StreamReader refuses a plain body of more than 40 MiB", () => {
  // A push/pull of rows with 8 MiB of meta each.
  const reader = new StreamReader(codecConfig(), "accepting");
  reader.push(bytesOfHex("0681a54e6f64657364"));
  const meta = concatBytes([
    bytesOfHex("81a44d657461db00800000"),
    new Uint8Array(1 << 23),
  ]);
  for (let i = 0; i < 4; i++) assert.equal(reader.push(meta), undefined);
  assert.throws(() => reader.push(meta), {
    name: "StreamError",
    code: "oversized",
    answer: false,
  });
});

Deno.test("StreamReader holds what has arrived, not what was announced", () => {
  const announced = concatBytes([
    bytesOfHex("0a01400000"),
    new Uint8Array(1_000),
  ]);
  const config = codecConfig({ keys: [KEY] });
  const before = Deno.memoryUsage();
  const readers = Array.from(
    { length: 100 },
    () => new StreamReader(config, "accepting"),
  );
  for (const reader of readers) assert.equal(reader.push(announced), undefined);
  const after = Deno.memoryUsage();
  assert.ok(after.external - before.external < 1_000_000);
});

Deno.test("StreamReader reads a megabyte that comes byte by byte", () => {
  // In quadratic time this would take minutes, in linear time well under a second.
  const message: StreamMessage = {
    kind: "user",
    body: new Uint8Array(1_000_000),
  };
  const reader = new StreamReader(codecConfig(), "accepting");
  const byte = new Uint8Array(1);
  let found: StreamMessage | undefined;
  for (const value of encodeStreamMessage(message)) {
    byte[0] = value;
    found = reader.push(byte) ?? found;
  }
  assert.deepEqual(found, message);
});
