import assert from "node:assert/strict";
import {
  decodeTagsFile,
  readTagsFile,
  writeTagsFile,
} from "../../lib/agent/tags_file.ts";

async function inFolder(use: (folder: string) => Promise<void>): Promise<void> {
  const folder = await Deno.makeTempDir();
  try {
    await use(folder);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

async function modeOf(path: string): Promise<number> {
  return ((await Deno.stat(path)).mode ?? 0) & 0o777;
}

const TAGS = new Map([["role", "web"], ["n", "1"]]);
/** As the original's agent wrote it. */
const CAPTURED = '{\n  "n": "1",\n  "role": "web"\n}';

Deno.test("writeTagsFile() writes the captured bytes, for nobody else to read", async () => {
  await inFolder(async (folder) => {
    const path = `${folder}/tags`;
    await writeTagsFile(path, TAGS);
    assert.equal(await Deno.readTextFile(path), CAPTURED);
    assert.equal(await modeOf(path), 0o600);
    assert.deepEqual(await readTagsFile(path), new Map([...TAGS].reverse()));
    await writeTagsFile(path, new Map());
    assert.equal(await Deno.readTextFile(path), "{}");
  });
});

Deno.test("writeTagsFile() keeps the permissions of a file that is there", async () => {
  await inFolder(async (folder) => {
    const path = `${folder}/tags`;
    await Deno.writeTextFile(path, "{}", { mode: 0o640 });
    await writeTagsFile(path, TAGS);
    assert.equal(await modeOf(path), 0o640);
  });
});

Deno.test("readTagsFile() tells no file from one that cannot be read", async () => {
  await inFolder(async (folder) => {
    assert.equal(await readTagsFile(`${folder}/none`), undefined);
    await Deno.writeFile(
      `${folder}/latin1`,
      Uint8Array.of(0x7b, 0x22, 0xe4, 0x22),
    );
    await assert.rejects(readTagsFile(`${folder}/latin1`), {
      message: "Failed to decode tags file: text that is not UTF-8",
    });
    await assert.rejects(readTagsFile(folder), {
      message: `Failed to read tags file: open ${folder}: is a directory`,
    });
    if (Deno.build.os !== "windows") {
      const pipe = `${folder}/pipe`;
      await new Deno.Command("mkfifo", { args: [pipe] }).output();
      await assert.rejects(readTagsFile(pipe), {
        message: `Failed to read tags file: open ${pipe}: not a regular file`,
      });
    }
    await Deno.writeTextFile(`${folder}/huge`, "");
    await Deno.truncate(`${folder}/huge`, 1_048_577);
    await assert.rejects(readTagsFile(`${folder}/huge`), {
      message: /^Failed to read tags file: .* at most 1048576 are read$/,
    });
  });
});

Deno.test("writeTagsFile() says why it cannot, and names the file", async () => {
  await inFolder(async (folder) => {
    const path = `${folder}/none/tags`;
    await assert.rejects(writeTagsFile(path, TAGS), {
      message:
        `Failed to write tags file: open ${path}: no such file or directory`,
    });
  });
});

Deno.test("readTagsFile() takes a byte order mark for a mistake, as Go does", async () => {
  await inFolder(async (folder) => {
    const path = `${folder}/tags`;
    await Deno.writeTextFile(path, '\ufeff{"a":"1"}');
    await assert.rejects(readTagsFile(path), {
      message:
        "Failed to decode tags file: invalid character 'ï' looking for beginning of value",
    });
  });
});

Deno.test("decodeTagsFile() takes an object of texts, in Go's way", () => {
  assert.deepEqual(
    decodeTagsFile('{"a":"1","b":null,"a":"2","__proto__":"x"}'),
    new Map([["a", "2"], ["b", ""], ["__proto__", "x"]]),
  );
  assert.deepEqual(decodeTagsFile("null"), new Map());
  const wrong = (value: string, type: string) =>
    `json: cannot unmarshal ${value} into Go value of type ${type}`;
  const cases = {
    '["a"]': wrong("array", "map[string]string"),
    "true": wrong("bool", "map[string]string"),
    '{"a":1}': wrong("number", "string"),
    '{"a":{}}': wrong("object", "string"),
    "nope": "invalid character 'o' in literal null (expecting 'u')",
  };
  for (const [text, message] of Object.entries(cases)) {
    assert.throws(() => decodeTagsFile(text), { message });
  }
});
