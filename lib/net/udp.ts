/**
 * The datagram socket of a node.
 *
 * Receiving is a loop that hands over one packet at a time and never two at
 * once; the bytes are valid only until the handler returns. Sending is fire and
 * forget, as datagrams are: a send that fails is reported once, and when too
 * many are on their way to the system, further ones are dropped, which looks to
 * the protocol like any other loss.
 *
 * `Deno.listenDatagram`, not `node:dgram`: the latter loses most packets from
 * about 4,000 a second on, at three times the processor time.
 *
 * Addresses are `ip:port` texts in the forms of `kit/address.ts`. A socket bound
 * to `::` hears IPv4 too; the mapped addresses that the system shows for it are
 * turned into IPv4 addresses here, and back.
 */

import { Budget, type BudgetRate } from "../kit/budget.ts";
import { type HostPort, parseIp, splitHostPort } from "../kit/address.ts";
import { monotonicMs } from "./clock.ts";
import { endpointOf } from "./system_address.ts";

/** Largest datagram there is, bytes. */
const DATAGRAM_BYTES_MAX = 65_536;
/** Sends handed to the system and not yet finished; more are dropped. */
const SENDS_PENDING_MAX = 1_024;
/** Remembered destinations; all are forgotten when there are more. */
const ADDRESSES_MAX = 8_192;
/**
 * Failed reads after which the next one follows at once. Some systems report here
 * that an earlier packet reached nobody; such a failure must not hold up others.
 */
const READ_ERROR_RATE: BudgetRate = { perSecond: 1_000, burst: 1_000 };
/** Pause after a failed read beyond that, ms, so that a broken socket does not spin. */
const READ_ERROR_PAUSE_MS = 10;

export interface UdpHandlers {
  /** One packet. `bytes` is overwritten by the next one. */
  onPacket(from: string, bytes: Uint8Array): void;
  /** A read failed; the socket goes on. */
  onReadError(error: unknown): void;
  /** A send failed or could not be tried. */
  onSendError(to: string, error: unknown): void;
  /** A packet was dropped because too many sends were pending. */
  onSendDropped(): void;
}

export class UdpSocket {
  readonly #conn: Deno.DatagramConn;
  readonly #handlers: UdpHandlers;
  readonly #isVersion6: boolean;
  readonly #addresses = new Map<string, Deno.NetAddr>();
  readonly #onSent = () => {
    this.#sendsPending--;
  };
  #sendsPending = 0;
  #isClosed = false;

  private constructor(conn: Deno.DatagramConn, handlers: UdpHandlers) {
    this.#conn = conn;
    this.#handlers = handlers;
    this.#isVersion6 = (conn.addr as Deno.NetAddr).hostname.includes(":");
  }

  /**
   * Binds a socket. Nothing is received before `receive` is called.
   *
   * @throws what `Deno.listenDatagram` throws, as when the port is taken
   */
  static bind(at: HostPort, handlers: UdpHandlers): UdpSocket {
    const conn = Deno.listenDatagram({
      transport: "udp",
      hostname: at.host,
      port: at.port,
    });
    return new UdpSocket(conn, handlers);
  }

  /** Hands over packets until the socket is closed. Call it once. */
  async receive(): Promise<void> {
    const buffer = new Uint8Array(DATAGRAM_BYTES_MAX);
    const errors = new Budget(READ_ERROR_RATE);
    while (!this.#isClosed) {
      try {
        const [bytes, from] = await this.#conn.receive(buffer);
        if (this.#isClosed) return;
        this.#handlers.onPacket(endpointOf(from as Deno.NetAddr), bytes);
      } catch (error) {
        if (this.#isClosed) return;
        if (!isSystemError(error)) throw error;
        this.#handlers.onReadError(error);
        if (errors.take(1, monotonicMs())) continue;
        await new Promise((done) => setTimeout(done, READ_ERROR_PAUSE_MS));
      }
    }
  }

  /** Sends one packet, or drops it. `bytes` must not change afterwards. */
  send(to: string, bytes: Uint8Array): void {
    if (this.#isClosed) return;
    if (this.#sendsPending >= SENDS_PENDING_MAX) {
      this.#handlers.onSendDropped();
      return;
    }
    let address: Deno.NetAddr;
    try {
      address = this.#addressOf(to);
    } catch (error) {
      this.#handlers.onSendError(to, error);
      return;
    }
    this.#sendsPending++;
    this.#conn.send(bytes, address).then(this.#onSent, (error) => {
      this.#sendsPending--;
      if (!this.#isClosed) this.#handlers.onSendError(to, error);
    });
  }

  close(): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    this.#conn.close();
  }

  /** @throws {Error} when our socket cannot send there */
  #addressOf(to: string): Deno.NetAddr {
    const known = this.#addresses.get(to);
    if (known !== undefined) return known;
    const { host, port } = splitHostPort(to);
    // Deno would look a name up; peers must not make us ask name servers.
    if (parseIp(host) === undefined) throw new TypeError("no IP address");
    const isVersion6 = host.includes(":");
    if (isVersion6 && !this.#isVersion6) {
      throw new TypeError("address family not supported by protocol");
    }
    const hostname = this.#isVersion6 && !isVersion6 ? `::ffff:${host}` : host;
    const address: Deno.NetAddr = { transport: "udp", hostname, port };
    if (this.#addresses.size >= ADDRESSES_MAX) this.#addresses.clear();
    this.#addresses.set(to, address);
    return address;
  }
}

/** Tells the system's refusals from exceptions of the handler, which are bugs. */
function isSystemError(error: unknown): boolean {
  return error instanceof Error &&
    (/\(os error \d+\)$/.test(error.message) ||
      error instanceof Deno.errors.Interrupted ||
      error instanceof Deno.errors.BadResource);
}
