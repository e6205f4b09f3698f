/**
 * Streams of the simulated network: dialing, bytes in order, closing, breaking.
 *
 *     dialer                              acceptor
 *       dial ------- syn --------------->   (process down: refused)
 *       handleDialed <---- dialed -------   handleStreamOpened
 *       write ------ data -------------->   handleStreamData
 *       handleStreamData <-- data -------   write
 *       handleStreamClosed <-- closed ---   close, or a crash
 *
 * The kernel of a paused node still answers the dial. A piece that meets a cut
 * link makes the whole stream silent: neither end is told, and it is up to the
 * engines to give up. That is what a partition looks like to TCP within the
 * times that matter here. A stream that breaks is closed at both ends after a
 * part of its bytes.
 */

import { assert } from "../kit/assert.ts";
import type { StreamId } from "../swim/output.ts";
import type { VirtualClock } from "./clock.ts";
import type { Network } from "./network.ts";
import {
  Connection,
  type SimEvent,
  type SimNode,
  type StreamEvent,
} from "./node.ts";

/** How long the kernel tries to connect to nobody, ms. */
const DIAL_TIMEOUT_MS = 30_000;
/** Ports of dialing sockets start here. */
const EPHEMERAL_PORT_MIN = 32_768;
const EPHEMERAL_PORTS = 28_232;

/** Since when an end of a stream dials or is connected, ms. */
export function streamStartMs(
  connection: Connection,
  node: SimNode,
  id: StreamId,
): number {
  return isDialer(connection, node, id)
    ? connection.connectedMs ?? connection.dialedMs
    : connection.openedMs;
}

export class Streams {
  readonly #clock: VirtualClock<SimEvent>;
  readonly #network: Network;
  readonly #offer: (event: StreamEvent) => void;
  #dials = 0;

  /** @param offer takes an event to its node, now or when its pause ends */
  constructor(
    clock: VirtualClock<SimEvent>,
    network: Network,
    offer: (event: StreamEvent) => void,
  ) {
    this.#clock = clock;
    this.#network = network;
    this.#offer = offer;
  }

  // --- What an engine asks for ------------------------------------------------

  /** @param to the node at that address, `undefined` when there is none */
  dial(node: SimNode, id: StreamId, to: SimNode | undefined): void {
    node.traffic.streamsOut++;
    const network = this.#network;
    const breakBytes = network.streamBreakBytes(node.index);
    // A stand-in for the missing acceptor, which is never asked anything.
    const acceptor = to ?? node;
    const connection = new Connection(
      node,
      acceptor,
      id,
      this.#clock.nowMs,
      breakBytes,
      acceptor.address,
    );
    node.streams.set(id, connection);
    node.connections.add(connection);
    const delayMs = network.streamDelayMs(node.index, acceptor.index);
    if (to === undefined || delayMs === undefined) {
      this.#fail(connection, DIAL_TIMEOUT_MS, "i/o timeout");
    } else {
      this.#plan(delayMs, {
        kind: "stream",
        what: "syn",
        connection,
        toDialer: false,
      });
    }
  }

  write(node: SimNode, id: StreamId, bytes: Uint8Array): void {
    const connection = node.streams.get(id);
    if (connection === undefined) return;
    const toDialer = !isDialer(connection, node, id);
    assert(
      toDialer || connection.connectedMs !== undefined,
      `${node.name} writes to stream ${id} after it was dialed`,
    );
    node.traffic.streamBytesOut += bytes.length;
    for (let start = 0; start < bytes.length && !connection.isSilent;) {
      const length = this.#network.chunkBytes(node.index, bytes.length - start);
      const passing = Math.min(length, connection.bytesLeft);
      connection.bytesLeft -= passing;
      if (passing > 0) {
        this.#send(
          connection,
          toDialer,
          "data",
          bytes.slice(start, start + passing),
        );
      }
      if (passing < length) this.#break(connection);
      start += length;
    }
  }

  close(node: SimNode, id: StreamId): void {
    const connection = node.streams.get(id);
    if (connection !== undefined) {
      this.#closeEnd(connection, isDialer(connection, node, id));
    }
  }

  /** The process is gone; its peers learn it from their kernels. */
  crash(node: SimNode): void {
    for (const connection of [...node.connections]) {
      if (connection.dialer === node) this.#closeEnd(connection, true);
      if (connection.acceptor === node) this.#closeEnd(connection, false);
    }
  }

  // --- What happens ---------------------------------------------------------

  /** Something that the clock brought up. */
  handle(event: StreamEvent): void {
    if (event.what === "syn") this.#onSyn(event.connection);
    else this.#offer(event);
  }

  /** The kernel of the acceptor sees a new connection. */
  #onSyn(connection: Connection): void {
    const { acceptor } = connection;
    if (!connection.isDialerOpen) return;
    if (acceptor.address !== connection.address) {
      this.#fail(connection, DIAL_TIMEOUT_MS, "i/o timeout");
      return;
    }
    if (!acceptor.isUp) {
      const delayMs = this.#network.streamDelayMs(
        acceptor.index,
        connection.dialer.index,
      );
      if (delayMs === undefined) {
        this.#fail(connection, DIAL_TIMEOUT_MS, "i/o timeout");
      } else {
        this.#fail(connection, delayMs, "connect: connection refused");
      }
      return;
    }
    connection.isAcceptorOpen = true;
    acceptor.connections.add(connection);
    this.#send(connection, true, "dialed");
    this.#offer({
      kind: "stream",
      what: "opened",
      connection,
      toDialer: false,
    });
  }

  /**
   * Gives an event to the engine of its node.
   *
   * @returns whether the engine was told
   */
  deliver(event: StreamEvent, nowMs: number): boolean {
    const { connection, toDialer } = event;
    const node = toDialer ? connection.dialer : connection.acceptor;
    const { engine } = node;
    const isOpen = toDialer
      ? connection.isDialerOpen
      : connection.isAcceptorOpen;
    if (engine === undefined || !isOpen) return false;
    const clockMs = node.clockMs(nowMs);
    const id = toDialer ? connection.dialerId : connection.acceptorId;
    switch (event.what) {
      case "syn":
        return false;
      case "opened": {
        const port = EPHEMERAL_PORT_MIN + this.#dials++ % EPHEMERAL_PORTS;
        const from = `${connection.dialer.ip}:${port}`;
        const opened = engine.handleStreamOpened(from, clockMs);
        connection.acceptorId = opened;
        connection.openedMs = nowMs;
        node.streams.set(opened, connection);
        return true;
      }
      case "dialed":
        connection.connectedMs = nowMs;
        engine.handleDialed(connection.dialerId, clockMs);
        return true;
      case "dialFailed":
        this.#forgetEnd(connection, true);
        engine.handleDialFailed(
          connection.dialerId,
          `dial tcp ${connection.address}: ${event.why}`,
          clockMs,
        );
        return true;
      case "data":
        assert(id !== undefined, "bytes arrive after the stream was opened");
        engine.handleStreamData(id, event.bytes as Uint8Array, clockMs);
        return true;
      case "closed":
        this.#forgetEnd(connection, toDialer);
        assert(id !== undefined, "the end arrives after the stream was opened");
        engine.handleStreamClosed(id, clockMs);
        return true;
    }
  }

  #closeEnd(connection: Connection, isDialerEnd: boolean): void {
    const wasOpen = isDialerEnd
      ? connection.isDialerOpen
      : connection.isAcceptorOpen;
    if (!wasOpen) return;
    this.#forgetEnd(connection, isDialerEnd);
    const isOtherOpen = isDialerEnd
      ? connection.isAcceptorOpen
      : connection.isDialerOpen;
    if (isOtherOpen) this.#send(connection, !isDialerEnd, "closed");
  }

  #forgetEnd(connection: Connection, isDialerEnd: boolean): void {
    const node = isDialerEnd ? connection.dialer : connection.acceptor;
    const id = isDialerEnd ? connection.dialerId : connection.acceptorId;
    if (isDialerEnd) connection.isDialerOpen = false;
    else connection.isAcceptorOpen = false;
    if (id !== undefined) node.streams.delete(id);
    const isHeldByOtherEnd = connection.dialer === connection.acceptor &&
      (connection.isDialerOpen || connection.isAcceptorOpen);
    if (!isHeldByOtherEnd) node.connections.delete(connection);
  }

  /** Ends the stream under both ends. */
  #break(connection: Connection): void {
    this.#network.counts.streamBreak++;
    this.#send(connection, true, "closed");
    this.#send(connection, false, "closed");
    connection.isSilent = true;
  }

  #fail(connection: Connection, delayMs: number, why: string): void {
    this.#plan(delayMs, {
      kind: "stream",
      what: "dialFailed",
      connection,
      toDialer: true,
      why,
    });
  }

  /** Sends one piece, never ahead of an earlier one. */
  #send(
    connection: Connection,
    toDialer: boolean,
    what: "dialed" | "data" | "closed",
    bytes?: Uint8Array,
  ): void {
    if (connection.isSilent) return;
    const { dialer, acceptor } = connection;
    const from = toDialer ? acceptor : dialer;
    const to = toDialer ? dialer : acceptor;
    const delayMs = this.#network.streamDelayMs(from.index, to.index);
    if (delayMs === undefined) {
      connection.isSilent = true;
      return;
    }
    const lastMs = toDialer
      ? connection.lastToDialerMs
      : connection.lastToAcceptorMs;
    const atMs = Math.max(lastMs, this.#clock.nowMs + delayMs);
    if (toDialer) connection.lastToDialerMs = atMs;
    else connection.lastToAcceptorMs = atMs;
    this.#clock.at(atMs, {
      kind: "stream",
      what,
      connection,
      toDialer,
      ...(bytes === undefined ? {} : { bytes }),
    });
  }

  #plan(delayMs: number, event: StreamEvent): void {
    this.#clock.at(this.#clock.nowMs + delayMs, event);
  }
}

function isDialer(
  connection: Connection,
  node: SimNode,
  id: StreamId,
): boolean {
  return connection.dialer === node && connection.dialerId === id;
}
