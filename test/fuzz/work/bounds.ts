/**
 * How much work input may cause: the table against which everything is measured.
 *
 * Within so many seconds after the first byte of an attack, a quantity may reach
 *
 *     perSecond * seconds * crowd + perByte * bytes + perInput * inputs
 *
 * where bytes are those that came in, inputs the packets or streams they came in,
 * and `crowd` is 1 when all came from one address, and `CROWD` when the addresses
 * are many: those can be forged, so what they may cause together is bounded too.
 *
 * All but the last two are counted in units that do not depend on the machine.
 * Processor time is a second opinion: it finds work that nobody thought to count.
 * Its unit is the time that this machine takes for one ordinary message, measured
 * in the same run, and its bound is generous.
 */

/** How much more many sources may cause than one. */
export const CROWD = 4;

export interface Bound {
  /** Per second and source. */
  readonly perSecond: number;
  /** Per byte of input as it arrives, compressed or not. */
  readonly perByte: number;
  /** Per packet, or per stream. */
  readonly perInput: number;
  readonly why: string;
}

const KIB = 1_024;
const MIB = 1_024 * KIB;

export const BOUNDS = {
  "bytes to one stranger": {
    perSecond: 64 * KIB,
    perByte: 4,
    perInput: 0,
    why:
      "An ack with a coordinate is three times as long as its ping. Whoever is no member gets a few full answers a second, for it may be about to join",
  },
  "bytes to one member": {
    perSecond: 256 * KIB,
    perByte: 4,
    perInput: 0,
    why:
      "Besides what a stranger gets: our gossip, 21 KiB a second to all, and acks and relayed answers to as many queries as gossip can carry",
  },
  "bytes to all": {
    perSecond: 512 * KIB,
    perByte: 8,
    perInput: 0,
    why: "As above; a query may also be answered through some other members",
  },
  "packets out": {
    perSecond: 4_096,
    perByte: 0.1,
    perInput: 0,
    why:
      "An ordinary message has 20 bytes or more and is answered by one packet; queries by some more",
  },
  "bytes on streams": {
    perSecond: 256 * KIB,
    perByte: 4,
    perInput: 5 * MIB,
    why:
      "A push/pull is answered with our whole state, of which recent events are 4 MiB at most. A stream's address cannot be forged",
  },
  "size of expressions": {
    perSecond: 12 * KIB,
    perByte: 1,
    perInput: 0,
    why:
      "Filters of ordinary queries are shorter than the query; one may have the largest size of all, twice",
  },
  "bytes to clients": {
    perSecond: 4 * KIB,
    perByte: 5,
    perInput: 256,
    why:
      "An error is up to five times as long as the shortest request. Of clients that may give commands only the errors are counted: the others are what was asked for",
  },
  "bytes of multicast answers": {
    perSecond: 8 * KIB,
    perByte: 1,
    perInput: 512,
    why: "One answer has each of our five records once, whatever was asked",
  },
  "size of expressions in a request": {
    perSecond: 4 * KIB,
    perByte: 0,
    perInput: 0,
    why:
      "A client that may give commands can give the next one, too; but one by one, and the agent does its other work in between",
  },
  "log lines": {
    perSecond: 64,
    perByte: 0.25,
    perInput: 1,
    why:
      "Refusals of two engines are 22 lines a second. Members that come and go have a line each, as in the original, and 1,000 of them fit a packet of 4 KB",
  },
  "events delivered": {
    perSecond: 64,
    perByte: 0.25,
    perInput: 1,
    why:
      "Each message is one event at the most, and 1,000 fit a packet of 4 KB",
  },
  "messages queued": {
    perSecond: 4 * 4_096,
    perByte: 0,
    perInput: 0,
    why: "Queues of gossip have 4,096 places each, whatever comes in",
  },
  "snapshot bytes": {
    perSecond: 16 * KIB,
    perByte: 8,
    perInput: 0,
    why:
      "A member that comes or goes is one line of its name and address, an event one of its time, up to 34 bytes; 1,000 events fit a packet of 5 KB",
  },
  "processor time": {
    perSecond: 10_000,
    perByte: 1,
    perInput: 400,
    why:
      "In ordinary messages. Opening one packet that holds 64 KiB when decompressed takes as long as a hundred of them",
  },
  "harm": {
    perSecond: 0,
    perByte: 0,
    perInput: 0,
    why:
      "When all is over and a quiet time has passed, everybody is a member and events and queries of others arrive",
  },
} as const satisfies Readonly<Record<string, Bound>>;

export type Quantity = keyof typeof BOUNDS;

/** What came in so far. */
export interface Incoming {
  readonly bytes: number;
  readonly inputs: number;
  readonly sources: number;
  readonly seconds: number;
}

export function allowed(quantity: Quantity, incoming: Incoming): number {
  const { perSecond, perByte, perInput } = BOUNDS[quantity];
  const { bytes, inputs, sources, seconds } = incoming;
  const crowd = sources > 1 ? CROWD : 1;
  return perSecond * seconds * crowd + perByte * bytes + perInput * inputs;
}
