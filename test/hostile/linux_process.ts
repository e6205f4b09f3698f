/** What Linux tells about a process: its signals, and the ports it listens on. */

const TCP_LISTEN = "0A";

/** Sets of signals, a bit for each, as `/proc/PID/status` has them. */
export type SignalSet = "SigBlk" | "SigIgn" | "SigCgt";

/** Whether a signal is in a set that a text in the form of that file has. */
export function hasSignal(
  status: string,
  set: SignalSet,
  signal: number,
): boolean {
  const bits = new RegExp(`^${set}:\\s*([0-9a-f]+)$`, "m").exec(status)?.[1];
  if (bits === undefined) throw new Error(`There is no ${set} in:\n${status}`);
  return (BigInt(`0x${bits}`) >> BigInt(signal - 1) & 1n) === 1n;
}

/** The state of a process; empty when it is gone. */
export function statusOf(pid: number): string {
  return readIfThere(`/proc/${pid}/status`);
}

/** TCP ports on which a process listens at this moment. */
export function listeningPorts(pid: number): number[] {
  const owned = socketsOf(pid);
  return ["tcp", "tcp6"]
    .flatMap((family) => readIfThere(`/proc/${pid}/net/${family}`).split("\n"))
    .map((line) => line.trim().split(/\s+/))
    .filter((fields) =>
      fields[3] === TCP_LISTEN && owned.has(fields[9] as string)
    )
    .map((fields) =>
      parseInt((fields[1] as string).split(":")[1] as string, 16)
    )
    .sort((a, b) => a - b);
}

/** Inode numbers of the sockets of a process. */
function socketsOf(pid: number): Set<string> {
  const inodes = new Set<string>();
  try {
    for (const { name } of Deno.readDirSync(`/proc/${pid}/fd`)) {
      try {
        const target = Deno.readLinkSync(`/proc/${pid}/fd/${name}`);
        const inode = /^socket:\[(\d+)\]$/.exec(target)?.[1];
        if (inode !== undefined) inodes.add(inode);
      } catch {
        // It was closed a moment ago.
      }
    }
  } catch {
    // The process has ended.
  }
  return inodes;
}

function readIfThere(path: string): string {
  try {
    return Deno.readTextFileSync(path);
  } catch {
    return "";
  }
}
