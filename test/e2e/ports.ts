/**
 * Loopback ports for tests, without races between test processes.
 *
 * Ports come in blocks below the range from which the system takes outgoing
 * ports. The first port of a block is its lock: a process that could bind it
 * owns the block and keeps the lock until it ends. Inside its own block a
 * process hands out each port once, after binding it for TCP and UDP to see
 * that no stranger has it. A restarted agent may therefore have its old port
 * back without anybody taking it in between.
 */

const FIRST_PORT = 20_000;
const END_PORT = 32_000;
const BLOCK_PORTS = 100;

/** One address a program may listen on: TCP and UDP were both free. */
export interface FreeAddress {
  readonly host: string;
  readonly port: number;
  /** `host:port`, with brackets around IPv6. */
  readonly text: string;
}

/**
 * A source of free loopback ports, to be disposed of when the programs that
 * listen there are gone.
 */
export class PortSource {
  #locks: Deno.Listener[] = [];
  #nextPort = 0;
  #endPort = 0;

  /** @throws {Error} when the whole range is taken */
  take(host: string): FreeAddress {
    while (true) {
      if (this.#nextPort === this.#endPort) this.#lockBlock();
      const port = this.#nextPort++;
      if (isFree(host, port)) {
        const text = host.includes(":")
          ? `[${host}]:${port}`
          : `${host}:${port}`;
        return { host, port, text };
      }
    }
  }

  [Symbol.dispose](): void {
    for (const lock of this.#locks.splice(0)) lock.close();
    this.#nextPort = this.#endPort = 0;
  }

  #lockBlock(): void {
    for (let base = FIRST_PORT; base < END_PORT; base += BLOCK_PORTS) {
      const lock = tryListen("127.0.0.1", base);
      if (lock === undefined) continue;
      this.#locks.push(lock);
      this.#nextPort = base + 1;
      this.#endPort = base + BLOCK_PORTS;
      return;
    }
    throw new Error(`Cannot find free ports from ${FIRST_PORT} to ${END_PORT}`);
  }
}

function isFree(host: string, port: number): boolean {
  const tcp = tryListen(host, port);
  if (tcp === undefined) return false;
  try {
    Deno.listenDatagram({ transport: "udp", hostname: host, port }).close();
    return true;
  } catch (error) {
    if (error instanceof Deno.errors.AddrInUse) return false;
    throw error;
  } finally {
    tcp.close();
  }
}

function tryListen(hostname: string, port: number): Deno.Listener | undefined {
  try {
    return Deno.listen({ hostname, port });
  } catch (error) {
    if (error instanceof Deno.errors.AddrInUse) return undefined;
    throw error;
  }
}
