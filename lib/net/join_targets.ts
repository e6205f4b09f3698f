/**
 * Addresses of a join as people write them, turned into addresses to dial; and
 * the errors of the dialing put back in the order of what was written.
 */

import { type ResolvedTarget, resolveJoinAddress } from "./resolve.ts";

/** One address as it was written: where it leads, or why nowhere. */
export interface JoinAddress {
  readonly targets: readonly ResolvedTarget[];
  readonly error?: string;
}

/**
 * Resolves each address, all at the same time.
 *
 * @param onError hears of each that cannot be resolved
 */
export async function resolveJoinAddresses(
  addresses: readonly string[],
  defaultPort: number,
  onError: (error: string) => void,
): Promise<JoinAddress[]> {
  return await Promise.all(addresses.map(async (text) => {
    try {
      return { targets: await resolveJoinAddress(text, defaultPort) };
    } catch (cause) {
      const error = `Failed to resolve ${text}: ${(cause as Error).message}`;
      onError(error);
      return { targets: [], error };
    }
  }));
}

/**
 * What went wrong, address by address, after a join that reached nobody.
 *
 * @param targetErrors one for each target, in their order
 */
export function joinErrorsOf(
  resolved: readonly JoinAddress[],
  targetErrors: readonly string[],
): string[] {
  const errors = targetErrors.values();
  return resolved.flatMap(({ targets, error }) =>
    error === undefined ? targets.map(() => errors.next().value ?? "") : [error]
  );
}
