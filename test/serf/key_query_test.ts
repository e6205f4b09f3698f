import assert from "node:assert/strict";
import { bytesOfHex, EMPTY_BYTES, hexOf } from "../../lib/kit/bytes.ts";
import { Keyring } from "../../lib/wire/keyring.ts";
import {
  decodeKeyResponse,
  decodeSerfMessage,
  encodeKeyRequest,
  encodeKeyResponse,
  type KeyResponse,
} from "../../lib/wire/serf_messages.ts";
import { Parts, type SerfOptions } from "./parts.ts";
import { ASKER, query } from "./queries.ts";

/** A key of one repeated byte. */
function key(byte: number, bytes = 16): Uint8Array {
  return new Uint8Array(bytes).fill(byte);
}

function text(byte: number): string {
  return key(byte).toBase64();
}

/** A node with a keyring of its own, and a member that asks it. */
class Asked {
  readonly parts: Parts;
  #lastId = 0;

  constructor(
    readonly ring: Keyring | undefined,
    options: SerfOptions = {},
  ) {
    this.parts = new Parts(options, ring && { keyring: ring });
  }

  /** Keys in base64, the primary first. */
  get keys(): string[] {
    return this.ring?.keys().map((each) => each.toBase64()) ?? [];
  }

  ask(what: string, payload: Uint8Array, nowMs = 0): void {
    this.parts.queries.arrived(
      query(5n, ++this.#lastId, { name: `_serf_${what}`, payload }),
      nowMs,
    );
  }

  /** What was answered since the last call. */
  answers(): KeyResponse[] {
    return this.parts.answersSent.splice(0).map(({ to, body }) => {
      assert.equal(to, ASKER);
      const message = decodeSerfMessage(body);
      assert.ok(message.kind === "queryResponse");
      return decodeKeyResponse(message.payload);
    });
  }

  /** Asks, and returns the one answer. */
  answer(what: string, payload: Uint8Array): KeyResponse {
    this.ask(what, payload);
    const [answer, ...more] = this.answers();
    assert.ok(answer !== undefined && more.length === 0);
    return answer;
  }
}

const OK: KeyResponse = {
  result: true,
  message: "",
  keys: [],
  primaryKey: "",
};

function no(message: string): KeyResponse {
  return { ...OK, result: false, message };
}

Deno.test("KeyQueries installs, uses, lists and removes keys, and says so in the log", () => {
  const node = new Asked(new Keyring([key(1)]));
  assert.deepEqual(node.answer("install-key", encodeKeyRequest(key(2))), OK);
  assert.deepEqual(node.keys, [text(1), text(2)]);
  assert.deepEqual(node.answer("use-key", encodeKeyRequest(key(2))), OK);
  assert.deepEqual(node.keys, [text(2), text(1)]);
  // What a list asks with is not looked at.
  assert.deepEqual(node.answer("list-keys", EMPTY_BYTES), {
    ...OK,
    keys: [text(2), text(1)],
    primaryKey: text(2),
  });
  assert.deepEqual(node.answer("remove-key", encodeKeyRequest(key(1))), OK);
  assert.deepEqual(node.keys, [text(2)]);
  assert.deepEqual(node.parts.takeLog(), [
    "[INFO] serf: Received install-key query",
    "[INFO] serf: Received use-key query",
    "[INFO] serf: Received list-keys query",
    "[INFO] serf: Received remove-key query",
  ]);
  assert.deepEqual(node.parts.takeEvents(), [], "nothing for the application");
  assert.deepEqual(node.parts.take("saveKeyring"), []);
});

Deno.test("KeyQueries takes what was done already for a success", () => {
  const node = new Asked(new Keyring([key(1), key(2)]));
  assert.deepEqual(node.answer("install-key", encodeKeyRequest(key(2))), OK);
  assert.deepEqual(node.answer("use-key", encodeKeyRequest(key(1))), OK);
  assert.deepEqual(node.answer("remove-key", encodeKeyRequest(key(9))), OK);
  assert.deepEqual(node.keys, [text(1), text(2)]);
});

Deno.test("KeyQueries answers with what the ring objects to, and changes nothing", () => {
  const node = new Asked(new Keyring([key(1), key(2)]));
  const cases: [what: string, key: Uint8Array, why: string, log: string][] = [
    [
      "install-key",
      key(3, 3),
      "key size must be 16, 24 or 32 bytes",
      "Failed to install key",
    ],
    [
      "use-key",
      key(3),
      "requested key is not in the keyring",
      "Failed to change primary key",
    ],
    [
      "remove-key",
      key(1),
      "removing the primary key is not allowed",
      "Failed to remove key",
    ],
  ];
  for (const [what, given, why, log] of cases) {
    const answer = node.answer(what, encodeKeyRequest(given));
    assert.deepEqual(answer, no(why));
    assert.deepEqual(node.keys, [text(1), text(2)]);
    assert.deepEqual(node.parts.takeLog(), [
      `[INFO] serf: Received ${what} query`,
      `[ERR] serf: ${log}: ${why}`,
    ]);
  }
});

Deno.test("KeyQueries of a node that does not encrypt says that there are no keys", () => {
  for (const ring of [undefined, new Keyring()]) {
    const node = new Asked(ring);
    const none = "No keyring to modify (encryption not enabled)";
    for (const what of ["install-key", "use-key", "remove-key"]) {
      const answer = node.answer(what, encodeKeyRequest(key(1)));
      assert.deepEqual(answer, no(none));
    }
    const empty = "Keyring is empty (encryption not enabled)";
    assert.deepEqual(
      node.answer("list-keys", encodeKeyRequest(EMPTY_BYTES)),
      no(empty),
    );
    assert.deepEqual(node.parts.takeLog(), [
      ...Array(3).fill(`[ERR] serf: ${none}`),
      `[ERR] serf: ${empty}`,
    ]);
    assert.deepEqual(node.keys, []);
  }
});

Deno.test("KeyQueries refuses a payload that holds no key, also an empty one", () => {
  const node = new Asked(new Keyring([key(1)]));
  const bad = ["", "07", "0781", "07a34b6579", "0781a34b657901"];
  for (const payload of bad) {
    const before = node.parts.core.metrics.refused.value;
    const answer = node.answer("install-key", bytesOfHex(payload));
    assert.deepEqual(answer, no(""), payload);
    assert.match(
      node.parts.takeLog().join("\n"),
      /^\[ERR\] serf: Failed to decode key request: [^\n]+$/,
    );
    assert.equal(node.parts.core.metrics.refused.value, before + 1);
  }
  assert.deepEqual(node.keys, [text(1)]);
  // The type byte is not looked at, and no key is the empty key.
  assert.deepEqual(
    node.answer("install-key", bytesOfHex("ff80")),
    no("key size must be 16, 24 or 32 bytes"),
  );
});

// --- Lists that do not fit ------------------------------------------------------

interface Truncation {
  readonly keys: number;
  readonly key_bytes: number;
  readonly limit: number;
  readonly kept: number | null;
  readonly encoded_response_bytes?: number;
  readonly message?: string;
  readonly error?: string;
}

const VECTORS = JSON.parse(
  Deno.readTextFileSync(new URL("../vectors/serf.json", import.meta.url)),
) as { readonly key_list_truncation: readonly Truncation[] };

Deno.test("KeyQueries lists as many keys as Serf does, in answers of the same length", () => {
  assert.equal(VECTORS.key_list_truncation.length, 6);
  for (const vector of VECTORS.key_list_truncation) {
    const keys = Array.from({ length: vector.keys }, (_, i) => {
      const each = new Uint8Array(vector.key_bytes);
      each[0] = i;
      return each;
    });
    const parts = new Parts(
      { queryResponseBytesMax: vector.limit },
      { keyring: new Keyring(keys), name: "alpha" },
    );
    parts.queries.arrived(query(5n, 1_234, { name: "_serf_list-keys" }), 0);
    const log = parts.takeLog().slice(1);
    const [sent] = parts.answersSent;
    if (vector.kept === null) {
      assert.equal(sent, undefined);
      assert.deepEqual(log, [`[ERR] serf: ${vector.error}`]);
      continue;
    }
    assert.ok(sent !== undefined);
    assert.equal(sent.body.length, vector.encoded_response_bytes);
    const message = decodeSerfMessage(sent.body);
    assert.ok(message.kind === "queryResponse");
    const listed = keys.map((each) => each.toBase64());
    assert.deepEqual(decodeKeyResponse(message.payload), {
      result: true,
      message: vector.message,
      keys: listed.slice(0, vector.kept),
      primaryKey: listed[0],
    });
    const line = `[WARN] serf: ${vector.message}`;
    assert.deepEqual(log, vector.message === "" ? [] : [line]);
  }
});

Deno.test("KeyQueries survives a list of a few keys that does not fit, which ended serf 0.9.4", () => {
  const keys = [1, 2, 3, 4].map((byte) => key(byte, 32));
  // By its size the answer has room for more of the shortest keys than there
  // are, but not for these.
  for (const [limit, kept] of [[290, 2], [240, 1]] as const) {
    const node = new Asked(new Keyring(keys), { queryResponseBytesMax: limit });
    const answer = node.answer("list-keys", EMPTY_BYTES);
    assert.equal(answer.keys.length, kept);
    assert.equal(
      answer.message,
      `truncated key list response, showing first ${kept} of 4 keys`,
    );
  }
});

// --- Keeping --------------------------------------------------------------------

Deno.test("KeyQueries answers a change once it was kept", () => {
  const node = new Asked(new Keyring([key(1)]), { savesKeyring: true });
  node.ask("install-key", encodeKeyRequest(key(2)));
  node.ask("use-key", encodeKeyRequest(key(2)));
  node.ask("remove-key", encodeKeyRequest(key(1)));
  assert.deepEqual(node.answers(), []);
  assert.deepEqual(node.keys, [text(2)], "in memory it is done at once");
  const saves = node.parts.take("saveKeyring");
  assert.deepEqual(saves.map(({ saveId }) => saveId), [1, 2, 3]);
  assert.deepEqual(
    saves.map(({ keys }) => keys.map((each) => each.toBase64())),
    [[text(1), text(2)], [text(2), text(1)], [text(2)]],
    "each with the keys of its moment",
  );
  node.parts.queries.keyringSaved(1, undefined, 10);
  assert.deepEqual(node.answers(), [OK]);
  node.parts.queries.keyringSaved(1, undefined, 10);
  node.parts.queries.keyringSaved(99, "disk full", 10);
  assert.deepEqual(node.answers(), [], "each is answered once");
  node.parts.takeLog();
  node.parts.queries.keyringSaved(2, "open keys: permission denied", 10);
  const why = "Failed to write keyring file: open keys: permission denied";
  assert.deepEqual(node.answers(), [no(why)]);
  assert.deepEqual(node.parts.takeLog(), [`[ERR] serf: ${why}`]);
  assert.deepEqual(node.keys, [text(2)], "and stays done in memory");
});

Deno.test("KeyQueries keeps nothing after a failure, nor for a list", () => {
  const node = new Asked(new Keyring([key(1)]), { savesKeyring: true });
  node.answer("remove-key", encodeKeyRequest(key(1)));
  node.answer("use-key", encodeKeyRequest(key(2)));
  node.answer("install-key", EMPTY_BYTES);
  node.answer("list-keys", EMPTY_BYTES);
  assert.deepEqual(node.parts.take("saveKeyring"), []);
});

Deno.test("KeyQueries does not answer a change that was kept too late", () => {
  const node = new Asked(new Keyring([key(1)]), { savesKeyring: true });
  node.ask("install-key", encodeKeyRequest(key(2)));
  node.parts.takeLog();
  node.parts.queries.keyringSaved(1, undefined, 1_001);
  assert.deepEqual(node.answers(), []);
  assert.deepEqual(node.parts.takeLog(), [
    "[ERR] serf: Failed to respond to key query: " +
    "failed to respond to key query: response is past the deadline",
  ]);
  assert.deepEqual(node.keys, [text(1), text(2)]);
});

Deno.test("KeyQueries tells no more of a failed save than fits", () => {
  const node = new Asked(new Keyring([key(1)]), { savesKeyring: true });
  node.ask("install-key", encodeKeyRequest(key(2)));
  node.parts.queries.keyringSaved(1, "x".repeat(5_000), 1);
  const [answer] = node.answers();
  assert.equal(
    answer?.message,
    `Failed to write keyring file: ${"x".repeat(256)}...`,
  );
});

Deno.test("KeyQueries refuses changes while 64 of them wait to be kept", () => {
  const node = new Asked(new Keyring([key(1)]), { savesKeyring: true });
  for (let i = 0; i < 64; i++) {
    node.ask("install-key", encodeKeyRequest(key(2)));
  }
  assert.deepEqual(node.answers(), []);
  assert.deepEqual(
    node.answer("install-key", encodeKeyRequest(key(3))),
    no("Failed to write keyring file: too many changes wait to be written"),
  );
  assert.deepEqual(node.keys, [text(1), text(2)]);
  node.parts.queries.keyringSaved(1, undefined, 1);
  assert.deepEqual(node.answers(), [OK]);
  node.ask("install-key", encodeKeyRequest(key(3)));
  assert.deepEqual(node.keys, [text(1), text(2), text(3)]);
});

Deno.test("KeyQueries answers nobody after a shutdown", () => {
  const node = new Asked(new Keyring([key(1)]), { savesKeyring: true });
  node.ask("install-key", encodeKeyRequest(key(2)));
  node.parts.queries.abandon("Serf was shut down", 1);
  node.parts.queries.keyringSaved(1, undefined, 1);
  assert.deepEqual(node.answers(), []);
});

Deno.test("KeyQueries answers with the bytes of Serf", () => {
  const ring = new Keyring([key(1)]);
  const node = new Asked(ring);
  node.ask("install-key", encodeKeyRequest(key(2)));
  const [sent] = node.parts.answersSent;
  const message = decodeSerfMessage(sent?.body ?? EMPTY_BYTES);
  assert.ok(message.kind === "queryResponse");
  // Entry `key_response_ok` of the vectors.
  assert.equal(
    hexOf(message.payload),
    "0884a44b657973c0a74d657373616765a0aa5072696d6172794b6579a0a6526573756c74c3",
  );
  assert.equal(hexOf(encodeKeyResponse(OK)), hexOf(message.payload));
});
