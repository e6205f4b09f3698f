/**
 * The reader of snapshot files as a fuzz target. It refuses nothing: any bytes are
 * a snapshot, if only an empty one.
 */

import assert from "node:assert/strict";
import { bytesOfHex } from "../../lib/kit/bytes.ts";
import { FAR_LTIME } from "../../lib/serf/lamport.ts";
import { readSnapshot } from "../../lib/serf/snapshot_file.ts";
import { Life } from "../serf/snapshots.ts";
import { serfEntries } from "../wire/vectors.ts";
import type { FuzzTarget } from "./target.ts";

const COMPLAINTS_MAX = 66;

/** A time that no honest cluster reaches is not taken over. */
function believed(ltime: bigint): bigint {
  return ltime < FAR_LTIME ? ltime : 0n;
}

export const SNAPSHOT_TARGETS: readonly FuzzTarget[] = [{
  name: "snapshot file",
  seeds: () => serfEntries(/^snapshot_/, 27).map(({ hex }) => bytesOfHex(hex)),
  run: (bytes) => {
    for (const rejoinAfterLeave of [false, true]) {
      const restored = readSnapshot(bytes, { rejoinAfterLeave });
      assert.ok(restored.complaints.length <= COMPLAINTS_MAX);
      // What it amounts to means the same once more, and is sound.
      const { snapshot, parts } = new Life(restored);
      snapshot.rewrite();
      const text = parts.take("persist").at(-1)?.text ?? "";
      const again = readSnapshot(new TextEncoder().encode(text), {
        rejoinAfterLeave,
      });
      assert.deepEqual(again, {
        ...restored,
        clock: believed(restored.clock),
        eventClock: believed(restored.eventClock),
        queryClock: believed(restored.queryClock),
        ...{ complaints: [], isDamaged: false, bytes: again.bytes },
      });
    }
  },
}];
