/** Keyring files, and what an agent makes of them at its start. */

import assert from "node:assert/strict";
import { openKeyring } from "../../lib/agent/keyring.ts";
import {
  encodeKeyringFile,
  keyringFileChange,
  readKeyringFile,
  writeKeyringFile,
} from "../../lib/agent/keyring_file.ts";
import { AgentLog } from "../../lib/agent/log.ts";
import { utf8Text } from "../../lib/kit/bytes.ts";

interface Recorded {
  readonly cases: readonly {
    readonly contents: string;
    readonly failure?: string;
    readonly logged?: string;
  }[];
  readonly written: readonly {
    readonly after: "install" | "use" | "remove";
    readonly contents: string;
  }[];
}

const { cases, written } = JSON.parse(
  Deno.readTextFileSync(
    new URL("../vectors/keyring_files.json", import.meta.url),
  ),
) as Recorded;

const KEY = new Uint8Array(16).fill(7);

async function inFolder(use: (path: string) => Promise<void>): Promise<void> {
  const folder = await Deno.makeTempDir();
  try {
    await use(`${folder}/keys.json`);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

/** Opens the keyring of such settings, and says what was logged. */
async function open(settings: {
  readonly encryptKey?: Uint8Array;
  readonly keyringFile?: string;
}) {
  const lines: string[] = [];
  const log = new AgentLog({
    level: "DEBUG",
    write: (text) => lines.push(text.slice(24, -1)),
    now: () => new Date(),
  });
  log.open();
  return {
    keyring: await openKeyring({ keyringFile: "", ...settings }, log),
    lines,
  };
}

Deno.test("openKeyring() takes and refuses the files that Serf does, in its words", async () => {
  assert.equal(cases.length, 26);
  for (const { contents, failure, logged } of cases) {
    await inFolder(async (path) => {
      await Deno.writeTextFile(path, contents);
      const opened = open({ keyringFile: path });
      if (failure !== undefined) {
        await assert.rejects(opened, {
          name: "AgentStartError",
          // Newer libraries begin this one in lower case.
          message: failure.replace("Empty primary", "empty primary"),
        }, contents);
        return;
      }
      const { keyring, lines } = await opened;
      assert.deepEqual(lines, [logged?.replace("PATH", path)]);
      const [first] = JSON.parse(contents);
      assert.equal(keyring?.primary?.toBase64(), first);
    });
  }
});

Deno.test("openKeyring() says why a file cannot be read", async () => {
  await inFolder(async (path) => {
    const failing = async (keyringFile: string, reason: string) =>
      await assert.rejects(open({ keyringFile }), {
        name: "AgentStartError",
        message: `Failed to setup the Serf agent: ${reason}`,
      });
    await failing(path, `stat ${path}: no such file or directory`);
    await Deno.writeTextFile(path, "[]");
    await failing(`${path}/x`, `stat ${path}/x: not a directory`);
    const folder = path.slice(0, path.lastIndexOf("/"));
    await failing(
      folder,
      `Failed to read keyring file: read ${folder}: is a directory`,
    );
    await Deno.writeTextFile(path, " ".repeat(65_537));
    await failing(
      path,
      `Failed to read keyring file: ${path} has 65537 bytes, at most 65536 are read`,
    );
  });
});

Deno.test("openKeyring() refuses a key beside a file, whatever is in the file", async () => {
  await assert.rejects(open({ keyringFile: "/nowhere", encryptKey: KEY }), {
    name: "AgentStartError",
    message:
      "Failed to setup the Serf agent: Encryption key not allowed while using a keyring",
  });
});

Deno.test("openKeyring() makes a ring of a single key, and none of none", async () => {
  const single = await open({ encryptKey: KEY });
  assert.deepEqual(single.keyring?.keys(), [KEY]);
  assert.deepEqual(single.lines, []);
  assert.equal((await open({})).keyring, undefined);
  await assert.rejects(open({ encryptKey: KEY.subarray(1) }), {
    name: "AgentStartError",
    message:
      "Failed to start the Serf agent: Error creating Serf: Failed to create memberlist: key size must be 16, 24 or 32 bytes",
  });
});

Deno.test("encodeKeyringFile() writes what Serf writes after each change", () => {
  for (const { contents } of written) {
    const keys = (JSON.parse(contents) as string[]).map((text) =>
      Uint8Array.fromBase64(text)
    );
    assert.equal(utf8Text(encodeKeyringFile(keys)), contents);
  }
});

Deno.test("openKeyring() gives a ring whose changes are written as Serf's are", async () => {
  await inFolder(async (path) => {
    const [install, use, remove] = written;
    const [k1, k2, k3] = (JSON.parse(install?.contents ?? "") as string[])
      .map((text) => Uint8Array.fromBase64(text)) as [
        Uint8Array,
        Uint8Array,
        Uint8Array,
      ];
    await writeKeyringFile(path, [k1, k2]);
    const { keyring } = await open({ keyringFile: path });
    assert.ok(keyring !== undefined);
    const text = () => utf8Text(encodeKeyringFile(keyring.keys()));
    keyring.add(k3);
    assert.equal(text(), install?.contents);
    keyring.use(k2);
    assert.equal(text(), use?.contents);
    keyring.use(k3);
    keyring.remove(k1);
    assert.equal(text(), remove?.contents);
  });
});

Deno.test("writeKeyringFile() lets nobody else read the keys, and readKeyringFile() does", async () => {
  await inFolder(async (path) => {
    const keys = [new Uint8Array(32).fill(1), KEY];
    for (let time = 0; time < 2; time++) {
      await writeKeyringFile(path, keys);
      assert.equal(((await Deno.stat(path)).mode ?? 0) & 0o777, 0o600);
      assert.deepEqual(await readKeyringFile(path), keys);
      // Others could read a file that somebody made by hand.
      await Deno.chmod(path, 0o644);
    }
    const missing = `${path}.d/keys`;
    await assert.rejects(writeKeyringFile(missing, keys), {
      name: "KeyringFileError",
      message: `open ${missing}: no such file or directory`,
    });
  });
});

Deno.test("writeKeyringFile() writes no file that would not be read again", async () => {
  const keysOf = (count: number) =>
    Array.from({ length: count }, (_, i) => {
      const key = new Uint8Array(32);
      new DataView(key.buffer).setUint32(0, i);
      return key;
    });
  await inFolder(async (path) => {
    await writeKeyringFile(path, keysOf(1_300));
    assert.equal((await readKeyringFile(path)).length, 1_300);
    await assert.rejects(writeKeyringFile(path, keysOf(1_400)), {
      name: "KeyringFileError",
      message: "1400 keys take more than 65536 bytes",
    });
    assert.equal((await readKeyringFile(path)).length, 1_300);
  });
});

Deno.test("keyringFileChange() tells what somebody else did to the file", async () => {
  const folder = await Deno.makeTempDir();
  const path = `${folder}/keyring`;
  const [one, two] = [new Uint8Array(16).fill(1), new Uint8Array(16).fill(2)];
  try {
    await writeKeyringFile(path, [one, one, two]);
    const change = () => keyringFileChange(path, [one, two]);
    assert.equal(await change(), undefined);
    await writeKeyringFile(path, [two, one]);
    assert.equal(await change(), `${path} was changed by somebody else`);
    await Deno.writeTextFile(path, "[]");
    assert.equal(
      await change(),
      `${path} was changed by somebody else: Keyring file contains no keys`,
    );
    await Deno.remove(path);
    assert.equal(await change(), `${path} was deleted`);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});
