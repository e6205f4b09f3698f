import assert from "node:assert/strict";
import { DEFAULT_SETTINGS, mergeSettings } from "../../lib/agent/config.ts";
import { engineProblems } from "../../lib/agent/start_checks.ts";

Deno.test("engineProblems() tells once of a name that is too long, and of all else", () => {
  const merged = mergeSettings(
    [DEFAULT_SETTINGS, { nodeName: "n".repeat(513), protocol: 9 }],
    { hostname: () => "host" },
  );
  assert.deepEqual(
    engineProblems(merged).map(({ message, setting }) => [setting, message]),
    [
      [
        "protocol",
        "Failed to start the Serf agent: Error creating Serf: " +
        "Protocol version '9' too high. Must be in range: [2, 5]",
      ],
      [
        "nodeName",
        "Failed to start the Serf agent: Error creating Serf: " +
        "Node name is 513 characters. Valid length is between 1 and 512 characters",
      ],
    ],
  );
});
