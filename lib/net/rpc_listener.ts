/**
 * The agent's end of `rpc_endpoint.ts`: listening where clients connect.
 */

import { listenHostOf } from "./both_families.ts";
import {
  formatRpcEndpoint,
  type RpcConn,
  type RpcEndpoint,
} from "./rpc_endpoint.ts";
import { endpointOf } from "./system_address.ts";

/** Accepts clients, on a port or on a socket in the file system. */
export class RpcListener {
  readonly #listener: Deno.TcpListener | Deno.UnixListener;
  readonly #at: RpcEndpoint;

  private constructor(
    listener: Deno.TcpListener | Deno.UnixListener,
    at: RpcEndpoint,
  ) {
    this.#listener = listener;
    this.#at = at;
  }

  /**
   * @param at `0.0.0.0` and `::` for every interface; see `both_families.ts`
   * @throws {Error} the system's, when it cannot be listened on; also because of
   * a file that is there, see `removeDeadSocket`
   */
  static open(at: RpcEndpoint): RpcListener {
    if (!("path" in at)) {
      const hostname = listenHostOf(at.host);
      return new RpcListener(Deno.listen({ hostname, port: at.port }), at);
    }
    // It must not be open to others for even a moment.
    const mask = Deno.build.os === "windows" ? undefined : Deno.umask(0o177);
    try {
      const listener = Deno.listen({ transport: "unix", path: at.path });
      return new RpcListener(listener, at);
    } finally {
      if (mask !== undefined) Deno.umask(mask);
    }
  }

  /** What is listened on, with the port that the system chose. */
  get endpoint(): RpcEndpoint {
    const { addr } = this.#listener;
    return "path" in this.#at
      ? this.#at
      : { host: this.#at.host, port: (addr as Deno.NetAddr).port };
  }

  /** The next client. */
  accept(): Promise<RpcConn> {
    return this.#listener.accept();
  }

  close(): void {
    this.#listener.close();
    if (!("path" in this.#at)) return;
    try {
      Deno.removeSync(this.#at.path);
    } catch {
      // Somebody else has removed it.
    }
  }
}

/** Where a client comes from, for the log. */
export function peerOf(conn: RpcConn, at: RpcEndpoint): string {
  const { remoteAddr } = conn;
  return remoteAddr.transport === "tcp"
    ? endpointOf(remoteAddr)
    : formatRpcEndpoint(at);
}
