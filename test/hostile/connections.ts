/** Connections as strangers make them: reset at once, or open and silent. */

import net from "node:net";

/** Where an agent listens. */
export interface Target {
  readonly host: string;
  readonly port: number;
}

/**
 * Connects and resets, one connection after the other.
 *
 * Node's sockets, since Deno's cannot be closed with a reset. While the other
 * side accepts nothing, or slowly, all of them end before they are accepted.
 */
export async function resetConnections(
  to: Target,
  count: number,
): Promise<void> {
  for (let i = 0; i < count; i++) {
    await new Promise<void>((done, fail) => {
      const socket = net.connect(to, () => socket.resetAndDestroy());
      socket.once("close", () => done());
      socket.once("error", fail);
    });
  }
}
