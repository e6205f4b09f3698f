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

/** Many connections that stay open, and say little or nothing. */
export class OpenConnections implements Disposable {
  readonly #sockets: net.Socket[] = [];
  #trickle: ReturnType<typeof setInterval> | undefined;

  /**
   * Opens so many, each of which begins with these bytes.
   *
   * @param from the address that they come from, of this machine
   */
  async open(
    to: Target,
    count: number,
    options: { readonly first?: Uint8Array; readonly from?: string } = {},
  ): Promise<void> {
    const { first, from } = options;
    for (let i = 0; i < count; i++) {
      await new Promise<void>((done) => {
        const socket = net.connect({
          ...to,
          ...(from !== undefined && { localAddress: from }),
        });
        this.#sockets.push(socket);
        socket.once("connect", () => {
          if (first !== undefined) socket.write(first);
          done();
        });
        // The other side may end it, with a reset as well.
        socket.on("error", () => done());
        socket.resume();
      });
    }
  }

  /** From now on sends a byte on each of them, several times a second. */
  trickle(byte: number): void {
    this.#trickle ??= setInterval(() => {
      for (const socket of this.#sockets) {
        if (socket.writable) socket.write(Uint8Array.of(byte));
      }
    }, 200);
  }

  /** Opens further ones, without an end, until the work is done. */
  async keepOpening<T>(to: Target, work: Promise<T>): Promise<T> {
    let isDone = false;
    const watched = work.finally(() => isDone = true);
    // The end of the work is for the caller to hear of.
    watched.catch(() => {});
    while (!isDone) await this.open(to, 8);
    return await watched;
  }

  [Symbol.dispose](): void {
    clearInterval(this.#trickle);
    for (const socket of this.#sockets) socket.destroy();
  }
}
