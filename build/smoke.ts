/**
 * Whether an executable works on this machine: `deno run -A build/smoke.ts PROGRAM`.
 *
 * It must know its version, run as an agent, answer, leave, and end with 0. PROGRAM
 * may have arguments that come before those of serf. Prints what went wrong.
 */

import { VERSION } from "../lib/kit/version.ts";

/** For a first start, which may have to be unpacked and looked at by scanners. */
const START_SECONDS = 60;
const END_SECONDS = 20;

interface Outcome {
  readonly code: number;
  readonly text: string;
}

class SmokeError extends Error {
  override name = "SmokeError";
}

/** Runs a command to its end. */
async function call(command: readonly string[]): Promise<Outcome> {
  const [program = "", ...args] = command;
  const { code, stdout, stderr } = await new Deno.Command(program, { args })
    .output();
  const decoder = new TextDecoder();
  return { code, text: decoder.decode(stdout) + decoder.decode(stderr) };
}

function expect(isTrue: boolean, what: string, { code, text }: Outcome): void {
  if (!isTrue) throw new SmokeError(`${what}: exit code ${code}\n${text}`);
}

/** An address of this machine with a port that is free just now. */
function freeAddress(): string {
  using listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  return `127.0.0.1:${listener.addr.port}`;
}

async function smoke(program: readonly string[]): Promise<void> {
  const version = await call([...program, "version"]);
  expect(
    version.code === 0 && version.text.startsWith(VERSION),
    `It is not version ${VERSION}`,
    version,
  );
  const rpc = `-rpc-addr=${freeAddress()}`;
  const [executable = "", ...before] = program;
  const child = new Deno.Command(executable, {
    args: [
      ...before,
      ...["agent", "-node=smoke", `-bind=${freeAddress()}`, rpc],
    ],
    stdout: "piped",
    stderr: "inherit",
  }).spawn();
  const output = child.stdout.text();
  let isEnded = false;
  const ended = child.status.finally(() => isEnded = true);
  try {
    await talk([...program], rpc, () => isEnded);
    const { promise: late, reject } = Promise.withResolvers<never>();
    const timer = setTimeout(
      () => reject(new SmokeError("The agent has left and does not end")),
      END_SECONDS * 1_000,
    );
    const { code } = await Promise.race([ended, late]);
    clearTimeout(timer);
    if (code !== 0) throw new SmokeError(`The agent ends with ${code}`);
  } catch (error) {
    if (!isEnded) child.kill("SIGKILL");
    (error as Error).message += `\nThe agent says:\n${await output}`;
    throw error;
  }
}

/** Asks the agent for its members, and to leave. */
async function talk(
  program: readonly string[],
  rpc: string,
  isEnded: () => boolean,
): Promise<void> {
  const startMs = performance.now();
  let members = await call([...program, "members", rpc]);
  while (members.code !== 0 && !isEnded()) {
    if (performance.now() - startMs > START_SECONDS * 1_000) break;
    await new Promise((resolve) => setTimeout(resolve, 200));
    members = await call([...program, "members", rpc]);
  }
  expect(
    members.code === 0 && /^smoke +127\.0\.0\.1:\d+ +alive/.test(members.text),
    "The agent does not list itself",
    members,
  );
  const leave = await call([...program, "leave", rpc]);
  expect(leave.code === 0, "The agent does not leave", leave);
}

if (import.meta.main) {
  try {
    await smoke(Deno.args);
    console.info("It works");
  } catch (error) {
    if (!(error instanceof SmokeError)) throw error;
    console.error(error.message);
    Deno.exit(1);
  }
}
