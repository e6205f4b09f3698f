/** The socket to which services tell systemd how they are. */

/** Takes the messages as systemd would. */
export class FakeSystemd implements Disposable {
  readonly heard: string[] = [];
  readonly path: string;
  readonly #folder: string;
  readonly #socket: Deno.DatagramConn;

  constructor() {
    this.#folder = Deno.makeTempDirSync({ prefix: "serf_notify_" });
    this.path = `${this.#folder}/notify`;
    this.#socket = Deno.listenDatagram({
      transport: "unixpacket",
      path: this.path,
    });
    this.#listen();
  }

  async #listen(): Promise<void> {
    for await (const [bytes] of this.#socket) {
      this.heard.push(new TextDecoder().decode(bytes));
    }
  }

  [Symbol.dispose](): void {
    this.#socket.close();
    Deno.removeSync(this.#folder, { recursive: true });
  }
}
