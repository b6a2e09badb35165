// Packs a directory into a newc archive as `cpio -o` does, with the product's own writer, into nothing: node pack.js DIRECTORY.
import { EntryWriter } from '../../../src/image/entry-writer.js';
import { gatherEntries } from '../../../src/image/unpacked/gather.js';
import { Segmenter } from '../../../src/image/segmenter.js';

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
for (const entry of await gatherEntries(process.argv[2]!, { placed: new Map(), record: undefined }))
  await out.entry(entry, entry.content.read());
await out.flush();
process.stdout.write(`${written}\n`);
