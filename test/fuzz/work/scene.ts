/**
 * Who takes part in a measured attack: the members of a small cluster, the
 * attacker, and an innocent third party that answers may be directed to.
 */

import { parseIp } from "../../../lib/kit/address.ts";

/** The member that is attacked. */
export const VICTIM = "victim";
/** A member that goes on as usual. */
export const HONEST = "honest";
/** All members, in the order of their addresses from 10.0.0.1. */
export const MEMBERS: readonly string[] = [VICTIM, HONEST, "m3", "m4", "m5"];
export const PORT = 7946;

/** Where the attacker sends from, unless it forges its address. */
export const ATTACKER = "10.9.9.9";
/** Asked for nothing, and should get next to nothing. */
export const THIRD_PARTY = "10.7.7.7";

/** Address of a member. */
export function ipOf(name: string): string {
  return `10.0.0.${MEMBERS.indexOf(name) + 1}`;
}

export function bytesOfIp(ip: string): Uint8Array {
  return parseIp(ip) as Uint8Array;
}
