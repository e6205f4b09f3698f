/** Files that an agent reads, and which anybody may have written. */

import assert from "node:assert/strict";
import {
  decodeKeyringFile,
  encodeKeyringFile,
  KeyringFileError,
} from "../../lib/agent/keyring_file.ts";
import { utf8Bytes } from "../../lib/kit/bytes.ts";
import { WireError } from "../../lib/wire/wire_error.ts";
import type { FuzzTarget } from "./target.ts";

const KEYS = [16, 24, 32].map((bytes) => new Uint8Array(bytes).fill(bytes));

export const FILE_TARGETS: readonly FuzzTarget[] = [
  {
    name: "agent/decodeKeyringFile",
    seeds: () => [
      encodeKeyringFile(KEYS),
      encodeKeyringFile(KEYS.slice(0, 1)),
      ...['["AAAA", null, ""]', "null", "[]", "{}", '["\\u0041AAA"]'].map(
        utf8Bytes,
      ),
    ],
    run(bytes) {
      let keys: Uint8Array[];
      try {
        keys = decodeKeyringFile(bytes);
      } catch (error) {
        // The refusal of a file, in place of that of a message.
        if (!(error instanceof KeyringFileError)) throw error;
        throw new WireError("badValue", error.message, { cause: error });
      }
      assert.deepEqual(decodeKeyringFile(encodeKeyringFile(keys)), keys);
    },
  },
];
