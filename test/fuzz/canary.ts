/**
 * A decoder with a planted mistake, to show that the fuzzing finds such things.
 *
 * It trusts an announced length, as a decoder must not: what it reads beyond the
 * end is undefined, and calling a method on that throws a `TypeError`.
 */

import { WireError } from "../../lib/wire/wire_error.ts";
import type { FuzzTarget } from "./target.ts";

export const CANARY: FuzzTarget = {
  name: "canary",
  seeds: () => [Uint8Array.of(0xa3, 0x61, 0x62, 0x63)],
  run(bytes) {
    const head = bytes[0];
    if (head === undefined || (head & 0xe0) !== 0xa0) {
      throw new WireError("badType", "not a short string");
    }
    for (let i = 1; i <= (head & 0x1f); i++) {
      const byte = bytes[i] as number;
      byte.toString(16);
    }
  },
};
