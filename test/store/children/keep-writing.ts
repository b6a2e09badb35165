/** Publishes one generation after another until it is killed; prints the number of each that has been published. */
import { siteAt } from '../../../src/site/site.js';
import { defaultConfig } from '../../../src/site/config.js';
import { openStore } from '../../../src/store/store.js';
import { noise, putEach, request } from '../temporary-site.js';

const dir = process.argv[2] ?? '';
const store = await openStore(siteAt(dir, defaultConfig()), {
  limits: { packBytes: 200_000, packBlobs: 100, streamBytes: 100_000 },
});
process.stdout.write('ready\n');
for (let round = 0; round < 100_000; round++) {
  const before = await store.osimages.get('d12');
  const number = before === undefined ? 0 : (await store.osimages.history('d12')).length;
  await store.write('keep writing', async (writer) => {
    const blobs = await putEach(writer, [noise(number, 150_000), noise(1000 + number, 150_000), 'shared']);
    const stream = (async function* (): AsyncGenerator<Buffer> {
      yield noise(2000 + number, 150_000);
    })();
    blobs.push((await writer.putStream(stream)).digest);
    await writer.seal();
    const generation = request(blobs, `generation ${number}`, before?.current ?? null);
    await store.osimages.publish(generation, { create: before === undefined });
  });
  process.stdout.write(`${number}\n`);
  if (number % 5 === 4) await store.gc({ dryRun: false });
}
