/**
 * Short floods of each kind at an agent of ours; `floods.ts` has the long ones, and
 * the figures of the original beside them.
 *
 * Goal: nobody is called failed, joins through the victim and commands to it work,
 * its memory stays bounded, little comes back to whoever asks for much, and the log
 * does not grow with the flood. Whether probes are answered in time is not asked
 * here: on a busy machine some are not, flood or no flood.
 */

import assert from "node:assert/strict";
import { testCluster } from "../e2e/harness.ts";
import { broken, FLOODS, Siege } from "./siege.ts";

const SECONDS = 2;
const RECOVERY_MS = 75_000;
/**
 * Bytes that may come back for each byte sent, and for each flood. Packets of
 * a thousand messages shrink to some kilobytes, so that each answer counts.
 */
const BYTES_OUT_PER_BYTE_MAX = 2;
const BYTES_OUT_MAX = 128 * 1_024;
/** Lines that a flood causes have limits per second; this is far above them. */
const LOG_BYTES_MAX = 512 * 1_024;
/** Their queries are delivered, and each event has its line, as in the original. */
const LOGS_EACH_MESSAGE = ["acks"];

testCluster("floods at an agent change nothing", async (cluster, step) => {
  await using siege = await Siege.begin(cluster, "ours");
  for (const flood of FLOODS) {
    await step(flood.name, async () => {
      const figures = await siege.endure(flood, SECONDS);
      await siege.recover(RECOVERY_MS);
      assert.deepEqual(
        broken({ ...figures, probesInTime: figures.probes }),
        [],
      );
      assert.ok(figures.commands > figures.failedCommands, "a command works");
      const { bytesIn, bytesOut, logBytes } = figures;
      const mayReturn = BYTES_OUT_MAX + BYTES_OUT_PER_BYTE_MAX * bytesIn;
      assert.ok(bytesOut <= mayReturn, `${bytesOut} bytes for ${bytesIn}`);
      if (LOGS_EACH_MESSAGE.includes(flood.name)) return;
      assert.ok(logBytes <= LOG_BYTES_MAX, `${logBytes} bytes of log`);
    });
  }
});
