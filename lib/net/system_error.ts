/**
 * Errors of the network in the words of Go.
 *
 * Join errors, fatal start-up messages and client messages carry the text of
 * the failed system call, and scripts match on them. Both runtimes take those
 * words from the operating system's table; Go writes them in lower case and
 * puts the operation in front, Deno appends the number.
 */

import { formatEndpoint } from "../kit/address.ts";

const SYSTEM_ERROR = /^(.*) \(os error \d+\)$/;

/** `connection refused` and the like; any other error's own message. */
export function systemErrorText(error: unknown): string {
  const message = error instanceof Error ? error.message : String(error);
  const words = SYSTEM_ERROR.exec(message)?.[1];
  if (words === undefined) return message;
  return words.slice(0, 1).toLowerCase() + words.slice(1);
}

/** Why a TCP connection could not be made: `dial tcp 10.0.0.1:7946: connect: ...`. */
export function dialErrorText(address: string, error: unknown): string {
  return `dial tcp ${address}: connect: ${systemErrorText(error)}`;
}

/** Why a socket could not be bound: `listen tcp 10.0.0.1:7946: bind: ...`. */
export function listenErrorText(
  network: "tcp" | "udp",
  at: { readonly host: string; readonly port: number },
  error: unknown,
): string {
  const address = formatEndpoint(at.host, at.port);
  return `listen ${network} ${address}: bind: ${systemErrorText(error)}`;
}

/** Why a file could not be used: `open /etc/serf: permission denied`. */
export function fileErrorText(
  operation: string,
  path: string,
  error: unknown,
): string {
  const { message } = error as Error;
  // The runtime writes its own operation behind the number.
  const words = /^(.*?) \(os error \d+\)/.exec(message)?.[1];
  if (words === undefined) return message;
  const lower = words.slice(0, 1).toLowerCase() + words.slice(1);
  return `${operation} ${path}: ${lower}`;
}
