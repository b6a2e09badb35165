// Packs a directory into a newc archive as `cpio -o` does, with the product's own writer, out of memory and into nothing:
// node pack.js DIRECTORY. Its first line is the seconds it took.
import { EntryWriter } from '../../../src/image/entry-writer.js';
import { gatherEntries } from '../../../src/image/unpacked/gather.js';
import { Segmenter } from '../../../src/image/segmenter.js';

const gathered = [];
for (const entry of await gatherEntries(process.argv[2]!, { placed: new Map(), record: undefined })) {
  const data: Buffer[] = [];
  for await (const chunk of entry.content.read()) data.push(Buffer.from(chunk));
  gathered.push({ entry, data });
}

const started = process.hrtime.bigint();
let written = 0;
const out = new EntryWriter(
  new Segmenter(
    {
      add: (_kind, chunks) => {
        for (const chunk of chunks) written += chunk.length;
        return Promise.resolve();
      },
    },
    { entry: ({ offset }) => ({ at: [offset] }), restart: () => undefined },
  ),
);
for (const { entry, data } of gathered)
  await out.entry(
    entry,
    (async function* () {
      yield* data;
    })(),
  );
await out.flush();
const seconds = Number(process.hrtime.bigint() - started) / 1e9;
process.stdout.write(`${seconds}\n${written}\n`);
