import test from 'ava';
import { ENGINE, generationId } from '../../src/osimage/generation-id.js';
import type { GenerationInputs } from '../../src/osimage/types.js';
import { sha256 } from '../../src/store/digest.js';

const inputs: GenerationInputs = {
  engine: ENGINE,
  imported: ENGINE,
  media: sha256('media'),
  layers: [{ name: 'l', digest: sha256('l') }],
  edits: [],
  settings: { a: '1' },
  layerSpec: 'l',
};

const others: readonly Partial<GenerationInputs>[] = [
  { engine: '1/zlib-0' },
  { imported: '1/zlib-0' },
  { media: sha256('other') },
  { layers: [] },
  { settings: {} },
  { epoch: 0 },
];
for (const other of others) {
  test(`another id: ${JSON.stringify(other)}`, (t) => {
    t.not(generationId('generic', { ...inputs, ...other }), generationId('generic', inputs));
  });
}

test('where layers lay and what they are called is not part of the id', (t) => {
  const elsewhere = { ...inputs, layerSpec: '/x/l', layers: [{ name: 'x', digest: sha256('l') }] };
  t.is(generationId('generic', elsewhere), generationId('generic', inputs));
});
