/**
 * Runs a target on mutated inputs and reports the first that breaks its promise.
 *
 * A run is a function of the target's name and the seed, so that a finding can be
 * replayed.
 */

import { hexOf } from "../../lib/kit/bytes.ts";
import { Random } from "../../lib/kit/random.ts";
import { WireError } from "../../lib/wire/wire_error.ts";
import { mutated } from "./mutate.ts";
import type { FuzzTarget } from "./target.ts";

/** No decoder may take longer over one small input, even on a busy machine, ms. */
const INPUT_MS_MAX = 2_000;

/** An input that broke the promise. */
export interface Finding {
  readonly target: string;
  readonly hex: string;
  readonly why: string;
}

/** How a run went. */
export interface FuzzReport {
  /** Inputs that decoded. */
  readonly accepted: number;
  /** Inputs that raised a `WireError`. */
  readonly refused: number;
  readonly finding?: Finding;
}

/** Tries the seeds of a target, then so many inputs near to them. */
export function fuzz(
  target: FuzzTarget,
  seed: number,
  inputs: number,
): FuzzReport {
  const seeds = target.seeds();
  const random = new Random(seed * 1_000_003 + hashOf(target.name));
  let accepted = 0;
  let refused = 0;
  for (let i = 0; i < seeds.length + inputs; i++) {
    const bytes = seeds[i] ?? mutated(seeds, random);
    // The target may keep or change what it is given.
    const hex = hexOf(bytes);
    const startMs = performance.now();
    const why = tryInput(target, bytes);
    const tookMs = performance.now() - startMs;
    if (why === "accepted") accepted++;
    else if (why === "refused") refused++;
    else {return {
        accepted,
        refused,
        finding: { target: target.name, hex, why },
      };}
    // It may have been the machine that took its time, but hardly twice.
    if (tookMs > INPUT_MS_MAX && durationMs(target, hex) > INPUT_MS_MAX) {
      const slow = `took ${Math.round(tookMs)} ms`;
      return {
        accepted,
        refused,
        finding: { target: target.name, hex, why: slow },
      };
    }
  }
  return { accepted, refused };
}

function durationMs(target: FuzzTarget, hex: string): number {
  const startMs = performance.now();
  tryInput(target, Uint8Array.fromHex(hex));
  return performance.now() - startMs;
}

function tryInput(target: FuzzTarget, bytes: Uint8Array): string {
  try {
    target.run(bytes);
    return "accepted";
  } catch (error) {
    if (error instanceof WireError) return "refused";
    return error instanceof Error
      ? error.stack ?? String(error)
      : String(error);
  }
}

function hashOf(name: string): number {
  let hash = 7;
  for (let i = 0; i < name.length; i++) {
    hash = (hash * 31 + name.charCodeAt(i)) % 1_000_003;
  }
  return hash;
}
